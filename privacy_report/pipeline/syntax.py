"""A module's syntax as the memo sees it: definitions by name, imports, and what it does while it is imported.

What cannot change a number is left out: comments, formatting, docstrings, annotations, what a `raise` says.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from privacy_report.errors import UserError, one_line

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
NEVER_RUNS = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")
"""Tests of blocks that are for type checkers or the command line alone."""
ENDS = ("UserError", "ValueError", "refuse")
"""What is raised to end the run: which of them it is cannot change a number. Others may be caught."""
NO_MERE_TYPE = ("ClassVar", "InitVar", "KW_ONLY")
"""Annotations that decide which fields a dataclass has."""


@dataclass(frozen=True)
class Part:
    """Some statements of a module: as text, with the names and attributes in them, and what they import.

    alone: nodes that are read as they are; with_member: those whose attribute is asked for, or that are set.
    """

    text: str
    alone: tuple[ast.AST, ...]
    with_member: tuple[ast.AST, ...]
    imported: dict[str, set[str]]
    modules: set[str]


@dataclass
class Module:
    """A parsed module.

    definitions: name -> statements that define it; imported: local name -> dotted names that it may be;
    modules: those that an `import a.b` names; effects: all other statements; bound: names that effects bind.
    """

    name: str
    is_package: bool
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, set[str]] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    effects: list[ast.stmt] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    parts: dict[str, Part] = field(default_factory=dict)

    def part(self, name: str) -> Part:
        """What a definition says, or the effects where `name` is none."""
        if name not in self.parts:
            self.parts[name] = _part(self, self.definitions.get(name, self.effects))
        return self.parts[name]


@cache
def parse(name: str, path: Path, *changed: int) -> Module:
    """The module `name` from its file, read anew where `changed` differs. UserError where it is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: no Python ({one_line(error)})") from None
    module = Module(name, path.name == "__init__.py")
    for node in tree.body:
        if isinstance(node, ast.If) and _is_silent(node):
            _add_imports(module, node)  # names of annotations
    for statement in _live(tree.body):
        names = [statement.name] if isinstance(statement, DEFINITIONS) else _assigned(statement)
        for one in names:
            module.definitions.setdefault(one, []).append(_strip(statement))
        if not names:
            _add_imports(module, statement)
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                module.effects.append(_strip(statement))
                module.bound |= set(_bound(statement))
    return module


def _part(module: Module, statements: list[ast.stmt]) -> Part:
    nodes = [node for statement in statements for node in ast.walk(statement)]
    bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    names = [node for node in nodes if isinstance(node, ast.Name | ast.Attribute)]
    alone = [isinstance(node.ctx, ast.Load) and id(node) not in bases for node in names]
    return Part(
        "\n".join(map(ast.dump, statements)),
        tuple(node for node, is_alone in zip(names, alone, strict=True) if is_alone),
        tuple(node for node, is_alone in zip(names, alone, strict=True) if not is_alone),
        *_imports_within(ast.Module(statements, []), module),
    )


def _imports_within(statement: ast.AST, module: Module) -> tuple[dict[str, set[str]], set[str]]:
    """What the import statements anywhere in `statement` say: local name -> dotted names, and modules."""
    names: dict[str, set[str]] = {}
    modules: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole, top = alias.name, alias.name.partition(".")[0]
                names.setdefault(alias.asname or top, set()).add(whole if alias.asname else top)
                modules.add(whole)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module)
            for alias in node.names:
                if alias.name == "*":
                    raise UserError(f"{module.name}: `from {base} import *` hides what is used; name it")
                names.setdefault(alias.asname or alias.name, set()).add(f"{base}.{alias.name}")
    return names, modules


def _add_imports(module: Module, statement: ast.AST) -> None:
    names, modules = _imports_within(statement, module)
    for name, dotted in names.items():
        module.imported.setdefault(name, set()).update(dotted)
    module.modules |= modules


def _base(node: ast.ImportFrom, module: Module) -> str:
    """The dotted name of what an `from ... import` imports from."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    package = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def _assigned(statement: ast.stmt) -> list[str]:
    """The plain names that a statement binds; none where it does anything else (`os.environ[...] = ...`)."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    parts: list[ast.expr] = []
    for target in targets:
        parts += target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    if len(names) < len(parts) or names == ["_"]:
        return []
    return [*names, *(node.target.id for node in ast.walk(statement) if isinstance(node, ast.NamedExpr))]


def _bound(statement: ast.AST) -> Iterator[str]:
    """All names that a statement may bind."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name


def _is_silent(statement: ast.AST) -> bool:
    """A docstring, or a block that is for type checkers or the command line alone."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in NEVER_RUNS


def _live(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are not silent, and what stands in a silent one's `else`."""
    for statement in statements:
        if not _is_silent(statement):
            yield statement
        elif isinstance(statement, ast.If):
            yield from _live(statement.orelse)


def _strip(statement: ast.stmt) -> ast.stmt:
    stripped = _Strip().visit(statement)
    assert isinstance(stripped, ast.stmt)
    return stripped


class _Strip(ast.NodeTransformer):
    """Removes what cannot change a number."""

    def visit(self, node: ast.AST) -> ast.AST:
        for part in ("body", "orelse", "finalbody"):
            if isinstance(inner := getattr(node, part, None), list):
                setattr(node, part, list(_live(inner)) or ([ast.Pass()] if part == "body" else []))
        return super().visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        exception = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if exception is None or ast.unparse(exception).rpartition(".")[2] in ENDS:
            return ast.Raise()
        return self.generic_visit(ast.Raise(exception))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        text = ast.unparse(node.annotation)
        kept = next((name for name in NO_MERE_TYPE if name in text), None)
        node.annotation = ast.Constant(kept)
        return self.generic_visit(node)
