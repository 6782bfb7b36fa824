"""``{a: ..., b: f(@a)}``: outputs in one text, of which one may say another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from timeline.errors import ExpressionError, Span
from timeline.language.expression import Expression, Outputs, size
from timeline.language.output_names import MAX_OUTPUTS, MAX_PARTS, unknown_output
from timeline.language.syntax import token_span

if TYPE_CHECKING:  # lark is loaded with the first expression
    from lark import Token, Tree

#: Reads one output, given what ``@name`` stands for in it.
Read: TypeAlias = "Callable[[Tree[Token], Mapping[str, Expression]], Expression]"


def refers(tree: Tree[Token]) -> bool:
    """Whether a text is a set of outputs of which one says another."""
    return tree.data == "outputs" and next(tree.find_data("reference"), None) is not None


def read_braces(tree: Tree[Token], read: Read, span: Span) -> Expression:
    """The set of outputs, each read once what it says of others is read.

    Raises:
        ExpressionError: a name that no output has, outputs that come back to themselves, or too large.

    >>> from timeline.language.parser import parse
    >>> from timeline.language.printer import print_expression
    >>> print_expression(parse('{n: count(a == 1), often: @n > 2}'))
    '{n: count(a == 1), often: count(a == 1) > 2}'
    """
    if len(tree.children) > MAX_OUTPUTS:
        raise ExpressionError(
            f"a set has at most {MAX_OUTPUTS} outputs, got {len(tree.children)}; divide it", span=span
        )
    texts: dict[str, Tree[Token]] = {}
    for output in tree.children:
        name = cast("Tree[Token]", output).children[0]
        # That a name comes twice is said by whoever checks the whole.
        texts.setdefault(str(name), cast("Tree[Token]", output))
    made: dict[str, Expression] = {}
    parts = 0

    def output_of(name: str, way: tuple[str, ...]) -> Expression:
        nonlocal parts
        if name in made:
            return made[name]
        put_in = 0
        for wanted, place in _references(texts[name]):
            if wanted not in texts:
                raise unknown_output(wanted, texts, place)
            if wanted in way:
                circle = " -> ".join((*way[way.index(wanted) :], wanted))
                raise ExpressionError(f"@{wanted} comes back to itself: {circle}", span=place)
            put_in += size(output_of(wanted, (*way, wanted)))
            # Before it is put in: a chain of outputs that each say the one before twice has no end.
            if parts + put_in > MAX_PARTS:
                raise ExpressionError(
                    f"too large: with every @name put in, the outputs have more than {MAX_PARTS} parts",
                    span=place,
                )
        one = cast(Outputs, read(texts[name], made)).operands[0]
        parts += size(one)
        made[name] = one
        return one

    names = tuple(str(cast("Tree[Token]", output).children[0]) for output in tree.children)
    return Outputs(names, tuple(output_of(name, (name,)) for name in names), span=span)


def _references(tree: Tree[Token]) -> list[tuple[str, Span]]:
    """The names that a part of a text says, each time that it does, with the place."""
    tokens = [cast("Token", found.children[0]) for found in tree.find_data("reference")]
    return sorted(((str(t)[1:], token_span(t)) for t in tokens), key=lambda one: (one[1].line, one[1].column))
