"""What a computation's code says: a digest of the syntax of all definitions that it can reach.

The key of a finished result needs the code that the result passed through, and nothing else. So the walk
starts at a function or class, reads its names, and follows each to the definition that it stands for, across
the modules of its own top-level package. What cannot change a number is left out: comments, formatting,
docstrings, annotations, and what a `raise` says. What a module does while it is imported belongs to all of
its definitions. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from privacy_report.errors import UserError

EFFECTS = "import"  # stands for what a module does while it is imported; a keyword, so no definition's name
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Code:
    """`digest`: SHA-256 (hex) of the reachable syntax; `libraries`: top-level packages that it imports."""

    digest: str
    libraries: frozenset[str]


@dataclass
class _Module:
    """A parsed module: definitions by name, what imported names stand for, and its other statements."""

    name: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)


def code(*roots: str) -> Code:
    """The code that is reached from `roots`, dotted names such as "package.module.function".

    Raises UserError for a root that does not exist.
    """
    ours = frozenset(root.partition(".")[0] for root in roots)
    seen: dict[tuple[str, str], str] = {}
    libraries: set[str] = set()
    todo = [_split(root) for root in roots]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        statements = _statements(*place)
        targets = _targets(place[0], statements, ours)
        # an import is code, too: the same name may come from elsewhere
        seen[place] = "\n".join([*map(ast.dump, statements), *sorted(targets)])
        for target in targets:
            top = target.partition(".")[0]
            if top in ours:
                todo.append(_split(target))
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
        todo += [(module, EFFECTS) for module in _modules(place[0], ours)]
    text = "\n".join(
        f"{module} {name}\n{seen[module, name]}" for module, name in sorted(seen) if seen[module, name]
    )
    return Code(hashlib.sha256(text.encode()).hexdigest(), frozenset(libraries))


def versions(libraries: frozenset[str]) -> dict[str, str]:
    """Distribution -> version of the packages that provide `libraries`, and Python's own."""
    found = {"Python": platform.python_version()}
    for library in libraries:
        for distribution in _distributions(library):
            found[distribution] = version(distribution)
    return found


@cache
def _distributions(library: str) -> tuple[str, ...]:
    """The installed distributions that provide a top-level package; its own name is tried first."""
    try:
        version(library)
        return (library,)
    except PackageNotFoundError:
        return tuple(sorted(set(packages_distributions().get(library, ()))))


@cache
def _path(module: str) -> Path | None:
    """The source file of a module, None when there is no such module. Nothing is imported to find it."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not inner:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or ():
        path = Path(location, *inner)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _split(dotted: str) -> tuple[str, str]:
    """(module, name of a definition in it) of a dotted name; a module alone has the name EFFECTS."""
    if _path(dotted):
        return dotted, EFFECTS
    module, _, name = dotted.rpartition(".")
    if not module:
        raise UserError(f"no module {name!r}: is it installed, or next to dvc.yaml?")
    return (module, name) if _path(module) else _split(module)


def _read(module: str) -> _Module:
    """A parsed module, parsed anew when its file has changed since the last time."""
    path = _path(module)
    assert path is not None
    stat = path.stat()
    return _parse(module, path, stat.st_mtime_ns, stat.st_size)


@cache
def _parse(module: str, path: Path, changed: int, size: int) -> _Module:
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError as error:
        raise UserError(f"{path}: no Python ({error})") from None
    found = _Module(module)
    for statement in tree.body:
        if isinstance(statement, DEFINITIONS):
            found.definitions.setdefault(statement.name, []).append(_strip(statement))
        elif names := _assigned(statement):
            for name in names:
                found.definitions.setdefault(name, []).append(_strip(statement))
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found.imported |= _imported(statement, module)
        elif not _is_silent(statement):
            found.effects.append(_strip(statement))
            found.imported |= _imports_within(statement, module)
        elif isinstance(statement, ast.If):
            found.imported |= _imports_within(statement, module)
    return found


def _statements(module: str, name: str) -> list[ast.stmt]:
    parsed = _read(module)
    if name == EFFECTS:
        return parsed.effects
    if name in parsed.definitions:
        return parsed.definitions[name]
    if name in parsed.imported:
        return []
    raise UserError(f"{module} has no {name!r}, allowed: {', '.join(sorted(parsed.definitions))}")


def _targets(module: str, statements: list[ast.stmt], ours: frozenset[str]) -> set[str]:
    """Dotted names that a module's statements refer to: its own, and those that are imported."""
    parsed = _read(module)
    imported = dict(parsed.imported)
    found: set[str] = set()
    for statement in statements:
        here = _imports_within(statement, module)
        imported |= here
        found |= set(here.values())
    if not statements:
        return found
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Attribute):
            found |= _attribute(node, imported, ours)
        elif isinstance(node, ast.Name):
            if node.id in imported:
                found.add(imported[node.id])
            elif node.id in parsed.definitions:
                found.add(f"{module}.{node.id}")
    return found


def _attribute(node: ast.Attribute, imported: dict[str, str], ours: frozenset[str]) -> set[str]:
    """`module.name` as a dotted name, where `module` is one of ours."""
    base = imported.get(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(node.value, ast.Attribute):
        base = next(iter(_attribute(node.value, imported, ours)), None)
    if base is None or base.partition(".")[0] not in ours or not _path(base):
        return set()
    parsed = _read(base)
    if node.attr in parsed.definitions or node.attr in parsed.imported or _path(f"{base}.{node.attr}"):
        return {f"{base}.{node.attr}"}
    return set()


def _modules(module: str, ours: frozenset[str]) -> set[str]:
    """Our modules that importing `module` imports, itself and its packages included."""
    found = {module}
    for dotted in _read(module).imported.values():
        if dotted.partition(".")[0] in ours:
            found.add(_split(dotted)[0])
    packages = {name.rpartition(".")[0] for name in found if "." in name}
    return found | {name for name in packages if _path(name)}


def _imports_within(statement: ast.stmt, module: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= _imported(node, module)
    return found


def _imported(node: ast.Import | ast.ImportFrom, module: str) -> dict[str, str]:
    """Local name -> dotted name of an import statement."""
    if isinstance(node, ast.Import):
        tops = {
            alias.name.partition(".")[0]: alias.name.partition(".")[0]
            for alias in node.names
            if not alias.asname
        }
        return tops | {alias.asname: alias.name for alias in node.names if alias.asname}
    base = node.module or ""
    if node.level:
        path = _path(module)
        parts = module.split(".")
        level = node.level - (path is not None and path.name == "__init__.py")
        package = parts[: len(parts) - level]
        base = ".".join([*package, *([base] if base else [])])
    return {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}


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
    return names if len(names) == len(parts) else []


def _is_silent(statement: ast.AST) -> bool:
    """A docstring, or a block that runs for type checkers or on the command line alone."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
            "__name__ == '__main__'",
        )
    return False


def _strip(statement: ast.stmt) -> ast.stmt:
    stripped = _Strip().visit(statement)
    assert isinstance(stripped, ast.stmt)
    return stripped


class _Strip(ast.NodeTransformer):
    """Removes what cannot change a number: docstrings, annotations, and what is said when something fails."""

    def visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_silent(part)] or [ast.Pass()]  # type: ignore[attr-defined]
        return super().visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)
