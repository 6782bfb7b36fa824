"""Search attributes: by what Temporal's own UI can filter nodes and sinks, where the namespace has them.

They are set when a workflow is started, and never needed: who reads them are people. A namespace that lacks
one would fail the start for ever, so it is asked before which it has.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from timeline.errors import ServiceError
from workflows.backoff import until

TIMELINE = SearchAttributeKey.for_keyword_list("TimelineName")
OPERATOR = SearchAttributeKey.for_keyword("TimelineOperator")
STREAM = SearchAttributeKey.for_int("TimelineStream")
KEY = SearchAttributeKey.for_keyword("TimelineKeyColumn")
KEYS: Mapping[str, SearchAttributeKey[Any]] = {key.name: key for key in (TIMELINE, OPERATOR, STREAM, KEY)}
#: How long (s) the server may take to answer, and a namespace to know what it was given.
ANSWER, KNOWN = 3.0, 60.0
#: The activity's name; characters of a value, and timelines that are named, as databases have room for.
NAME, MAX_VALUE, MAX_TIMELINES = "search_attributes", 255, 20

_log = logging.getLogger(__name__)


def attributes(
    known: Collection[str], timelines: Iterable[str], operator: str, stream: int | None, key: str
) -> TypedSearchAttributes | None:
    """What a workflow is found by, as far as the namespace knows it; ``None`` if it knows nothing.

    >>> found = attributes(["TimelineStream", "TimelineName"], ["b", "a"], "count", 3, "session")
    >>> [(pair.key.name, pair.value) for pair in found]
    [('TimelineName', ['a', 'b']), ('TimelineStream', 3)]
    """
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(TIMELINE, sorted(timelines)[:MAX_TIMELINES]),
        SearchAttributePair(OPERATOR, operator),
        SearchAttributePair(KEY, key[:MAX_VALUE]),
    ]
    if stream is not None:
        pairs.append(SearchAttributePair(STREAM, stream))
    wanted = [pair for pair in pairs if pair.key.name in known]
    return TypedSearchAttributes(wanted) if wanted else None


async def known_to(client: Client) -> list[str]:
    """Which of ours the namespace has, of the right kind, sorted; none if it does not say."""
    try:
        return sorted(name for name, kind in (await _kinds(client)).items() if kind == _kind(name))
    except RPCError as error:
        _log.info("the namespace does not say which search attributes it has: %s", error.message)
        return []


class AttributesActivity:
    """Says which attributes the namespace of a worker has."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @activity.defn(name=NAME)
    async def known(self) -> list[str]:
        """As `known_to`."""
        return await known_to(self.client)


async def prepare(client: Client) -> list[str]:
    """Gives the namespace those that it lacks, and returns once it knows them; which those are.

    Raises:
        ServiceError: it may not be given any, or has one of another kind.
    """
    try:
        kinds = await _kinds(client)
        for name, kind in kinds.items():
            if kind != _kind(name):
                raise ServiceError(
                    f"namespace {client.namespace!r} has a search attribute {name} that is a "
                    f"{_word(kind)} and not a {_word(_kind(name))}; remove it and prepare the namespace "
                    "again, or do without it"
                )
        missing = {name: _kind(name) for name in KEYS if name not in kinds}
        if missing:
            request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            await client.operator_service.add_search_attributes(request, timeout=timedelta(seconds=30))
            await until(lambda: _understood(client), KNOWN)
    except RPCError as error:
        wanted = " ".join(f"--name {name} --type {_word(_kind(name))}" for name in KEYS)
        raise ServiceError(
            f"namespace {client.namespace!r} cannot be prepared: {error.message}; a person who has the right "
            f"can use `temporal operator search-attribute create {wanted}`, or the settings of the cloud"
        ) from None
    except TimeoutError:
        raise ServiceError(
            f"namespace {client.namespace!r} was given {', '.join(missing)}, and does not know them yet; "
            "try again"
        ) from None
    return list(missing)


async def _kinds(client: Client) -> dict[str, IndexedValueType.ValueType]:
    """Those of ours that the namespace has."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request, timeout=timedelta(seconds=ANSWER))
    return {name: kind for name, kind in answer.custom_attributes.items() if name in KEYS}


async def _understood(client: Client) -> bool:
    """Whether workflows can be found by all of them: until then none could be started with them either."""
    try:
        await client.count_workflows(" AND ".join(f"{name} IS NOT NULL" for name in KEYS))
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        return False
    return True


def _kind(name: str) -> IndexedValueType.ValueType:
    return IndexedValueType.ValueType(KEYS[name].indexed_value_type.value)


def _word(kind: IndexedValueType.ValueType) -> str:
    word = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_")
    return word.title().replace("_", "")
