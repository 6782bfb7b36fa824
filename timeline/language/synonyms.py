"""What other languages call our words, so that an error can say how it is called here."""

from __future__ import annotations

from collections.abc import Mapping

#: Calls, in small letters, by what is likely to be meant.
CALLS: Mapping[str, str] = {
    **dict.fromkeys(("avg", "average", "mean", "time_avg", "twa"), "time_weighted_avg(...)"),
    **dict.fromkeys(("min", "minimum", "least", "running_min"), "min_so_far(...)"),
    **dict.fromkeys(("max", "maximum", "greatest", "running_max"), "max_so_far(...)"),
    **dict.fromkeys(("last", "latest", "state", "last_value", "current"), "latest_event_to_state(...)"),
    **dict.fromkeys(("first_value", "earliest"), "first(...)"),
    **dict.fromkeys(("duration", "time_where", "time_in", "elapsed_where"), "duration_where(...)"),
    **dict.fromkeys(("time_in_state", "state_duration"), "duration_in_cur_state(...)"),
    **dict.fromkeys(("rises", "rising_edges", "edges"), "count_rises(...)"),
    **dict.fromkeys(("exists", "any", "ever"), "has_existed(...)"),
    **dict.fromkeys(("exists_within", "within", "recently"), "has_existed_within(...)"),
    **dict.fromkeys(("prior", "previous", "prev"), "prior_state(...)"),
    **dict.fromkeys(("delta", "increase", "change", "diff", "rate"), "x - lag(x, 5m)"),
    **dict.fromkeys(("total", "cumsum", "running_sum"), "sum(...)"),
    **dict.fromkeys(("count_distinct", "unique", "nunique", "uniq"), "distinct(...)"),
    **dict.fromkeys(("heartbeat", "active", "is_alive"), "alive(...)"),
    **dict.fromkeys(("time_since_last", "elapsed", "age", "ago"), "time_since(...)"),
    **dict.fromkeys(("reset", "session", "since_last"), "since(...)"),
    **dict.fromkeys(("contains", "like", "ilike", "regexp", "regexp_matches", "regex"), "matches(...)"),
    **dict.fromkeys(("prefix", "startswith", "begins_with"), "starts_with(...)"),
    **dict.fromkeys(("case", "iff", "when", "ifelse", "where"), "if(b, x, y)"),
    **dict.fromkeys(("coalesce", "ifnull", "nvl"), "if(x is null, y, x)"),
    **dict.fromkeys(("integrate", "area"), "integral(...)"),
    **{word: word for word in ("and", "or", "not")},
}

#: What is a question over all keys, and no operator.
OVER_KEYS = (
    *("avg", "average", "mean", "median", "percentile", "quantile", "p50", "p90", "p95", "p99", "histogram"),
    *("duration_by", "group_by", "top", "aggregate"),
)

#: Aggregates over keys.
AGGREGATES: Mapping[str, str] = {
    **dict.fromkeys(("median", "percentile", "quantile", "percentile_cont"), "p50"),
    **dict.fromkeys(("mean", "average", "time_weighted_avg"), "avg"),
    **dict.fromkeys(("maximum", "max_so_far"), "max"),
    **dict.fromkeys(("minimum", "min_so_far"), "min"),
    **dict.fromkeys(("total",), "sum"),
    **dict.fromkeys(("keys", "n", "size"), "count"),
    **dict.fromkeys(("hist", "buckets"), "histogram"),
    **dict.fromkeys(
        ("count_distinct", "approx_distinct", "nunique", "unique", "uniq", "cardinality"), "distinct"
    ),
    **dict.fromkeys(("duration_where", "time_in"), "duration"),
    **dict.fromkeys(("count_rises", "rising_edges"), "rises"),
    **dict.fromkeys(("delta", "increase", "diff"), "change"),
}

#: Words between operands.
SIGNS: Mapping[str, str] = {
    **{word: word for word in ("and", "or", "not", "in", "is")},
    **dict.fromkeys(("like", "ilike", "rlike", "regexp"), 'matches(x, "...") or starts_with(x, "...")'),
    "between": "x >= ... && x <= ...",
}
