"""Outputs that refer to each other: ``@name`` stands for the expression of the output of that name."""

from __future__ import annotations

from collections.abc import Mapping

from timeline.errors import ExpressionError, Span
from timeline.language.checking import check
from timeline.language.expression import Expression, Outputs, size
from timeline.language.output_names import MAX_OUTPUTS, MAX_PARTS, name_problem, unknown_output
from timeline.language.parser import parse
from timeline.language.syntax import syntax_tree, token_span


def read_outputs(
    texts: Mapping[str, str],
) -> tuple[dict[str, Expression], dict[str, ExpressionError]]:
    """The trees of outputs, with every ``@name`` put in, and what is wrong, by name of the output.

    An output that only refers to a wrong one is in neither: what is wrong is said once.

    >>> from timeline.language.printer import print_expression
    >>> trees, problems = read_outputs(
    ...     {"often": "@n > 2", "n": "count(state == 'error')", "ok": "!@offen"})
    >>> {name: print_expression(tree) for name, tree in trees.items()}
    {'often': 'count(state == "error") > 2', 'n': 'count(state == "error")'}
    >>> str(problems["ok"])
    'line 1, column 2: there is no output offen; expected often, n, ok; did you mean often?'
    """
    reading = _Reading(texts)
    for number, (name, text) in enumerate(texts.items()):
        problem = name_problem(name)
        if problem is None and number >= MAX_OUTPUTS:
            problem = f"a spec has at most {MAX_OUTPUTS} outputs, got {len(texts)}; divide it"
        if problem is not None:
            reading.problems[name] = ExpressionError(problem, source=text)
        else:
            reading.tree(name, ())
    trees = {name: reading.trees[name] for name in texts if name in reading.trees}
    return {n: t for n, t in trees.items() if n not in reading.problems}, reading.problems


class _Reading:
    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.trees: dict[str, Expression] = {}
        self.problems: dict[str, ExpressionError] = {}
        self.parts = 0

    def tree(self, name: str, on_the_way: tuple[str, ...]) -> Expression | None:
        """The tree of an output, once all that it refers to is read; ``None`` if that cannot be."""
        if name in self.trees or name in self.problems:
            return self.trees.get(name)
        text = self.texts[name]
        try:
            tree = self._read(name, text, (*on_the_way, name))
        except ExpressionError as error:
            error.source = text
            self.problems[name] = error
            return None
        if tree is not None:
            self.trees[name] = tree
        return tree

    def _read(self, name: str, text: str, path: tuple[str, ...]) -> Expression | None:
        references: dict[str, Expression] = {}
        put_in = 0
        for wanted, span in _references(text):
            if wanted not in self.texts:
                raise unknown_output(wanted, self.texts, span)
            if wanted in path:
                circle = " -> ".join((*path[path.index(wanted) :], wanted))
                raise ExpressionError(f"@{wanted} comes back to itself: {circle}", span=span)
            found = self.tree(wanted, path)
            if found is None:
                return None
            references[wanted] = found
            put_in += size(found)
            # Before it is put in: a chain of outputs that each say the one before twice has no end.
            if self.parts + put_in > MAX_PARTS:
                raise ExpressionError(
                    f"too large: with every @name put in, the outputs have more than {MAX_PARTS} parts",
                    span=span,
                )
        tree = parse(text, references)
        if isinstance(tree, Outputs):
            raise ExpressionError("an output is one expression, not a set of outputs", span=tree.span)
        check(Outputs((name,), (tree,)), text)  # a node reads it as one of a set, one level deeper
        self.parts += size(tree)
        return tree


def _references(text: str) -> list[tuple[str, Span]]:
    """The names that a text refers to, each time that it does, with the place."""
    found = []
    for tree in syntax_tree(text).find_data("reference"):
        token = tree.children[0]
        found.append((str(token)[1:], token_span(token)))  # type: ignore[arg-type]
    return sorted(found, key=lambda one: (one[1].line, one[1].column))
