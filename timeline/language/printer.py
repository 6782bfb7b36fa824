"""The DSL text of a tree: canonical on one line, or broken over lines for people."""

from __future__ import annotations

import json
import re
from itertools import repeat

from timeline.language.expression import (
    And,
    Arithmetic,
    ArithmeticOp,
    Column,
    Compare,
    Constant,
    Expression,
    Given,
    In,
    Not,
    Or,
    Outputs,
)
from timeline.language.signatures import NOT_BARE, SYMBOLS, arguments_of
from timeline.values.ticks import format_duration

#: Lines longer than this are broken by `print_pretty`.
WIDTH = 80

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# How tightly a node holds its operands; what is not in here never needs parentheses.
_TIGHTNESS: dict[type[Expression], int] = {Or: 1, And: 2, Compare: 3, In: 3, Not: 6}
_ARITHMETIC: dict[ArithmeticOp, int] = {"+": 4, "-": 4, "*": 5, "/": 5}


def print_expression(e: Expression) -> str:
    """The canonical DSL text, on one line: ``parse(print_expression(e)) == e``.

    That holds for every tree that `timeline.language.parser.parse` or `timeline.language.builder` makes.
    Sub-expressions (predicates, columns, constants) can be printed too.

    >>> from timeline.language.expression import Call, Column, Compare, Constant
    >>> seek = Compare("==", Column("state"), Constant("seek"))
    >>> print_expression(Call("has_existed_within", (seek, 5000)))
    'has_existed_within(state == "seek", 5s)'
    """
    match e:
        case Column():
            return _column(e.column)
        case Given():
            return e.output
        case Constant():
            return _constant(e)
        case Compare() | Arithmetic():
            return f"{_operand(e.left, e)} {e.op} {_operand(e.right, e)}"
        case In():
            return f"{_operand(e.of, e)} in {_values(e)}"
        case Not():
            return "!" + _operand(e.of, e)
        case Outputs():
            named = zip(e.names, e.operands, strict=True)
            return f"{{{', '.join(f'{name}: {print_expression(part)}' for name, part in named)}}}"
        case And() | Or():
            symbol = SYMBOLS[type(e)]
            # map, for a comprehension would be one more frame of Python's stack for each level.
            return f" {symbol} ".join(map(_operand, e.operands, repeat(e)))
        case _:
            return f"{e.name}({', '.join(map(_argument, arguments_of(e)))})"


def print_pretty(e: Expression) -> str:
    """The same text with what is longer than 80 characters broken at its ``&&``, ``||`` and calls.

    >>> from timeline.language.parser import parse
    >>> print(print_pretty(parse('''
    ...     duration_where(has_existed(playerStateChange == "play")
    ...     && !has_existed_within(playerStateChange == "seek", 5s)
    ...     && latest_event_to_state(playerStateChange) == "buffer")''')))
    duration_where(
      has_existed(playerStateChange == "play")
      && !has_existed_within(playerStateChange == "seek", 5s)
      && latest_event_to_state(playerStateChange) == "buffer")
    """
    return _block(e, 0)


def _column(name: str) -> str:
    if _BARE.fullmatch(name) and name not in NOT_BARE:
        return name
    return f"col({json.dumps(name, ensure_ascii=False)})"


def _constant(constant: Constant) -> str:
    value = constant.value
    # A tree holds 1e300 as the int it is; 301 digits are nobody's spelling of it. As in JavaScript,
    # the exponent comes from 1e21 on, and only where it says exactly the same number.
    if type(value) is int and abs(value) >= 10**21 and int(float(value)) == value:
        return repr(float(value))
    return json.dumps(value, ensure_ascii=False)


def _values(e: In) -> str:
    return f"({', '.join(map(_constant, e.values))})"


def _argument(argument: Expression | int) -> str:
    if isinstance(argument, int):
        return format_duration(argument)
    return print_expression(argument)


def _tightness(e: Expression) -> int:
    return _ARITHMETIC[e.op] if isinstance(e, Arithmetic) else _TIGHTNESS.get(type(e), 9)


def _needs_parentheses(child: Expression, parent: Expression) -> bool:
    # `!!b` needs none, nor does `a - b` before `- c`; a comparison in a comparison does, for they do
    # not chain.
    alike = isinstance(parent, Not) or (isinstance(parent, Arithmetic) and child is parent.left)
    return _tightness(child) < _tightness(parent) + (0 if alike else 1)


def _operand(child: Expression, parent: Expression) -> str:
    text = print_expression(child)
    return f"({text})" if _needs_parentheses(child, parent) else text


def _block(e: Expression, indent: int) -> str:
    """The lines of ``e``, the first without its indent: it follows what is there already."""
    line = print_expression(e)
    if indent + len(line) <= WIDTH:
        return line
    match e:
        case Column() | Constant() | Given():
            return line
        case Compare() | Arithmetic():
            return f"{_inner(e.left, e, indent)} {e.op} {_inner(e.right, e, indent)}"
        case In():
            return f"{_inner(e.of, e, indent)} in {_values(e)}"
        case Not():
            return "!" + _inner(e.of, e, indent + 1)
        case Outputs():
            named = zip(e.names, e.operands, strict=True)
            lines = [f"{' ' * (indent + 2)}{name}: {_block(part, indent + 2)}" for name, part in named]
            return "{\n" + ",\n".join(lines) + "}"
        case And() | Or():
            symbol = SYMBOLS[type(e)]
            head, *rest = e.operands
            lines = [_inner(head, e, indent)]
            lines += [f"{symbol} {_inner(o, e, indent + len(symbol) + 1)}" for o in rest]
            return ("\n" + " " * indent).join(lines)
        case _:
            inner = indent + 2
            arguments = [
                format_duration(a) if isinstance(a, int) else _block(a, inner) for a in arguments_of(e)
            ]
            return f"{e.name}(\n{' ' * inner}{', '.join(arguments)})"


def _inner(child: Expression, parent: Expression, indent: int) -> str:
    if _needs_parentheses(child, parent):
        return f"({_block(child, indent + 1)})"
    return _block(child, indent)
