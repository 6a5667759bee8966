"""Mutants of the verifier's source: comparisons decided or moved by one, sums made differences.

A mutant is the code of one function, put in the place of the honest code while cases are checked. A mutant that
survives all cases shows a check that no case needs.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType

PACKAGE = "zkinfer.verifier.ashlar"
MODULES = (
    "field",
    "group",
    "identities",
    "input_digest",
    "kernels",
    "kzg",
    "program",
    "statement",
    "transcript",
    "verify",
    "wellformed",
)
_OTHER_SIGN = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_MOVED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}


class Mutant:
    """One change of a module: `place` counts the nodes of its tree."""

    def __init__(self, module, place, kind, line, text):
        self.module, self.place, self.kind, self.line, self.text = module, place, kind, line, text

    def __str__(self):
        return f"{self.module}:{self.line} {self.kind}: {self.text}"

    @contextmanager
    def applied(self):
        """The honest functions run the mutant's code."""
        module = importlib.import_module(f"{PACKAGE}.{self.module}")
        functions = {function.__qualname__: function for function in _functions(module)}
        tree = ast.parse(inspect.getsource(module))
        changed = list(_nodes(tree))[self.place]
        tree = _Change(changed, self.kind).visit(tree)
        code = compile(ast.fix_missing_locations(tree), module.__file__, "exec")
        honest = {}
        for name, body in _codes(code):
            if name in functions and body != functions[name].__code__:
                honest[name], functions[name].__code__ = functions[name].__code__, body
        assert honest, f"{self} changes no function"
        try:
            yield
        finally:
            for name, body in honest.items():
                functions[name].__code__ = body


def mutants(modules=MODULES):
    """All mutants, in the order of the source."""
    for name in modules:
        source = inspect.getsource(importlib.import_module(f"{PACKAGE}.{name}"))
        lines = source.splitlines()
        for place, node in enumerate(_nodes(ast.parse(source))):
            yield from (Mutant(name, place, kind, node.lineno, lines[node.lineno - 1].strip()) for kind in _kinds(node))


def _nodes(tree):
    """All nodes but those of messages."""
    todo = [tree]
    for node in todo:
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.JoinedStr)]
    return todo


def _kinds(node):
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OTHER_SIGN:
        yield "sign"
    if isinstance(node, ast.Compare):
        yield from ("true", "false")
        yield from (f"moved {k}" for k, op in enumerate(node.ops) if type(op) in _MOVED)
        if len(node.ops) > 1:
            yield from ("first", "last")


class _Change(ast.NodeTransformer):
    def __init__(self, node, kind):
        self.node, self.kind = node, kind

    def visit(self, node):
        if node is not self.node:
            return self.generic_visit(node)
        if self.kind == "sign":
            node.op = _OTHER_SIGN[type(node.op)]()
        elif self.kind.startswith("moved"):
            place = int(self.kind.removeprefix("moved "))
            node.ops[place] = _MOVED[type(node.ops[place])]()
        elif self.kind == "first":
            node.ops, node.comparators = node.ops[:1], node.comparators[:1]
        elif self.kind == "last":
            node = ast.Compare(node.comparators[-2], node.ops[-1:], node.comparators[-1:])
        else:
            return ast.copy_location(ast.Constant(self.kind == "true"), node)
        return node


def _functions(module):
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            yield value
        if inspect.isclass(value) and value.__module__ == module.__name__:
            for member in vars(value).values():
                function = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if isinstance(function, FunctionType) and Path(function.__code__.co_filename).name != "<string>":
                    yield function


def _codes(code):
    """The code objects of functions and methods, by qualified name."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from _codes(constant)
