"""Small changes to a program, each of which a good test should notice (DeMillo et al. 1978).

The libraries at hand mutate a whole package, or need a configuration and a database for each
module; here a change is one stretch of text for another, so that it can be quoted.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMBINED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_SWAPPED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """One change: a stretch of the source, in characters, and what stands there instead."""

    line: int
    start: int
    end: int
    was: str
    now: str

    def in_source(self, source: str) -> str:
        """The whole program with the change."""
        return source[: self.start] + self.now + source[self.end :]


def mutants_of(source: str) -> list[Mutant]:
    r"""Every change, in the order of the source; each leaves a program that compiles.

    Messages of errors, annotations, docstrings and texts are left alone.

    Examples
    --------
    >>> [(m.line, m.was, m.now) for m in mutants_of("x = a < b\ny = min(a, 2)")]
    [(1, 'a < b', 'a <= b'), (2, 'min', 'max'), (2, '2', '3')]
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    lines = source.splitlines()

    def place(line: int, column: int) -> int:  # columns of ast count bytes
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for node in _code(ast.parse(source)):
        for now in _changes(node):
            start = place(node.lineno, node.col_offset)
            end = place(node.end_lineno or 0, node.end_col_offset or 0)
            mutant = Mutant(node.lineno, start, end, source[start:end], now)
            compile(mutant.in_source(source), "mutant", "exec")
            found.append(mutant)
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end))


def _code(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Expressions and statements that decide or compute something."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "exc", "format_spec", "msg"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.JoinedStr) or not isinstance(child, ast.AST):
                continue  # places inside formatted texts are known from Python 3.12 on
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _code(child)


def _changes(node: ast.expr | ast.stmt) -> Iterator[str]:
    """What may stand instead of a node."""
    match node:
        case ast.Compare(ops=[op, *more]) if type(op) in _COMPARED:
            ops = [_COMPARED[type(op)](), *more]
            yield ast.unparse(ast.Compare(node.left, ops, node.comparators))
        case ast.BinOp(op=op) if type(op) in _COMBINED:
            yield ast.unparse(ast.BinOp(node.left, _COMBINED[type(op)](), node.right))
        case ast.AugAssign(op=op) if type(op) in _COMBINED:
            yield ast.unparse(ast.AugAssign(node.target, _COMBINED[type(op)](), node.value))
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield "pass"
        case ast.IfExp():
            yield f"({ast.unparse(node.orelse)})"
        case _:
            yield from _simple_changes(node)


def _simple_changes(node: ast.expr | ast.stmt) -> Iterator[str]:
    """Of signs, numbers and names."""
    match node:
        case ast.BoolOp(op=op):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield f"({ast.unparse(ast.BoolOp(other, node.values))})"
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield ast.unparse(node.operand)
        case ast.Constant(value=bool()):
            yield str(not node.value)
        case ast.Constant(value=int() | float()):
            yield repr(node.value + 1)
        case ast.Name(id=name) if name in _SWAPPED:
            yield _SWAPPED[name]
