"""What a computation's code says: a digest of the syntax of all definitions that it can reach.

The key of a finished result needs the code that the result passed through, and nothing else. So the walk
starts at a function or class, reads its names, and follows each to the definition that it stands for, across
the modules of its own top-level package and those that no installed distribution owns. What a module does
while it is imported belongs to all of its definitions, together with what its imports do. Nothing is
imported or run.

Not followed are names in strings (`getattr`, `import_module`), the classes of arguments, and what a class
does to its subclasses: whoever chooses a function or builds an object that way names it as a root. An
assignment counts where its names are read, whatever else its right side may do.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from privacy_report.errors import UserError
from privacy_report.pipeline.syntax import Module, parse

EFFECTS = "import"  # stands for what a module does while it is imported; a keyword, so no definition's name


@dataclass(frozen=True)
class Code:
    """`digest`: SHA-256 (hex) of the reachable syntax; `libraries`: top-level packages that it imports."""

    digest: str
    libraries: frozenset[str]


def code(*roots: str, chosen: Iterable[str] = ()) -> Code:
    """The code that is reached from `roots`, dotted names such as "package.module.function".

    chosen: what a user named; it is a root, too, where no distribution owns it, else its library counts.
    Raises UserError for a root that does not exist, and for a module that cannot be read as Python.
    """
    ours = frozenset(root.partition(".")[0] for root in roots)
    seen: dict[tuple[str, str], str] = {}
    libraries = {name.partition(".")[0] for name in chosen if not _is_ours(name.partition(".")[0], ours)}
    todo = [_split(root) for root in (*roots, *chosen) if root.partition(".")[0] not in libraries]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        text, targets = _reached(*place, ours)
        # An import is code, too: the same name may come from elsewhere. Of a library that is handed on as it
        # is, the version says enough.
        named = targets if text else {target for target in targets if "." in target}
        seen[place] = "\n".join(filter(None, [text, *sorted(named)]))
        for target in targets:
            top = target.partition(".")[0]
            if _is_ours(top, ours):
                todo.append(_split(target))
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
        todo += [(module, EFFECTS) for module in _modules(place[0], ours)]
    text = "\n".join(
        f"{module} {name}\n{seen[module, name]}" for module, name in sorted(seen) if seen[module, name]
    )
    return Code(hashlib.sha256(text.encode()).hexdigest(), frozenset(libraries))


def versions(libraries: Iterable[str]) -> dict[str, str]:
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
        return tuple(sorted(set(_providers().get(library, ()))))


_providers = cache(packages_distributions)  # it reads all that is installed


def file_of(dotted: str) -> Path | None:
    """The file of the module in a dotted name, where no installed distribution owns it; else None.

    UserError where there is no such module.
    """
    top = dotted.partition(".")[0]
    if top in sys.stdlib_module_names or _distributions(top):
        return None
    return _path(_split(dotted)[0])


def _is_ours(top: str, ours: frozenset[str]) -> bool:
    """Whether a top-level module's code is followed: that of a root, or of nobody's distribution."""
    return top in ours or _is_local(top)


@cache
def _is_local(top: str) -> bool:
    if top in sys.stdlib_module_names or (spec := _spec(top)) is None:
        return False
    return bool(_path(top) or spec.submodule_search_locations) and all(map(_is_editable, _distributions(top)))


def _is_editable(distribution: str) -> bool:
    """Whether a distribution is a link to a folder in which its source may change under one version."""
    url = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    return bool(url.get("dir_info", {}).get("editable"))


@cache
def _spec(top: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


@cache
def _path(module: str) -> Path | None:
    """The source file of a module, None when there is no such module. Nothing is imported to find it."""
    top, *inner = module.split(".")
    spec = _spec(top)
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


def _read(module: str) -> Module:
    """A parsed module, parsed anew when its file has changed since the last time."""
    path = _path(module)
    assert path is not None
    stat = path.stat()
    return parse(module, path, stat.st_mtime_ns, stat.st_size)


def _reached(module: str, name: str, ours: frozenset[str]) -> tuple[str, set[str]]:
    """The syntax behind a name of a module, and the dotted names that it refers to."""
    parsed = _read(module)
    if name == EFFECTS:
        registered = {f"{module}.{one}" for one in parsed.definitions if _is_registered(parsed, one, ours)}
        return parsed.part(name).text, _targets(parsed, name, ours) | registered
    if name not in parsed.definitions:
        if name in parsed.imported:
            return "", parsed.imported[name]
        if name in parsed.bound:
            return "", set()  # by an effect, which counts anyway
        if "__getattr__" not in parsed.definitions:
            known = ", ".join(sorted(parsed.definitions))
            raise UserError(f"{module} has no {name!r}, allowed: {known}")
        name = "__getattr__"
    return parsed.part(name).text, _targets(parsed, name, ours)


def _is_registered(parsed: Module, name: str, ours: frozenset[str]) -> bool:
    """Whether a decorator of ours runs on a definition at import: it may keep it where others find it."""
    lists = (getattr(node, "decorator_list", ()) for node in parsed.definitions[name])
    for decorator in (one for decorators in lists for one in decorators):
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        names = (_names(node, parsed, parsed.imported, ours) for node in ast.walk(function))
        if any(not _path(one) for one in _origins(set().union(*names), ours)):
            return True
    return False


def _origins(dotted: Iterable[str], ours: frozenset[str]) -> set[str]:
    """What names of ours stand for in the end, where modules hand on what they import."""
    found, todo, seen = set(), list(dotted), set[str]()
    while todo:
        one = todo.pop()
        if one in seen or not _is_ours(one.partition(".")[0], ours):
            continue
        seen.add(one)
        module, name = _split(one)
        parsed = _read(module)
        if one == f"{module}.{name}" and name in parsed.imported and name not in parsed.definitions:
            todo += parsed.imported[name]
        else:
            found.add(one)
    return found


def _targets(parsed: Module, name: str, ours: frozenset[str]) -> set[str]:
    """Dotted names that a definition refers to (or the effects): the module's own, and imported ones."""
    part, imported = parsed.part(name), parsed.imported
    found = {module for module in part.modules if _is_ours(module.partition(".")[0], ours)}
    if part.imported:
        imported = {one: parsed.imported.get(one, set()) | dotted for one, dotted in part.imported.items()}
        imported = parsed.imported | imported
        found |= set().union(*part.imported.values())
    for node in part.with_member:
        found |= _names(node, parsed, imported, ours)
    for node in part.alone:
        if names := _names(node, parsed, imported, ours):
            found |= names | _whole(names, ours)
    return found


def _names(node: ast.AST, parsed: Module, imported: dict[str, set[str]], ours: frozenset[str]) -> set[str]:
    """The dotted names that a name or `module.name` may stand for; none for other nodes."""
    if isinstance(node, ast.Attribute):
        return _attribute(node, imported, ours)
    if not isinstance(node, ast.Name):
        return set()
    own = {f"{parsed.name}.{node.id}"} if node.id in parsed.definitions else set()
    return own | imported.get(node.id, set())


def _whole(names: Iterable[str], ours: frozenset[str]) -> set[str]:
    """All definitions of modules that are used as objects (`getattr(module, name)`), not by a member."""
    modules = [name for name in _origins(names, ours) if _path(name)]
    return {f"{module}.{name}" for module in modules for name in _read(module).definitions}


def _attribute(node: ast.Attribute, imported: dict[str, set[str]], ours: frozenset[str]) -> set[str]:
    """`module.name` as dotted names, where `module` is one of ours."""
    bases: set[str] = set()
    if isinstance(node.value, ast.Name):
        bases = imported.get(node.value.id, set())
    elif isinstance(node.value, ast.Attribute):
        bases = _attribute(node.value, imported, ours)
    found: set[str] = set()
    for module in _origins(bases, ours):
        if not _path(module):
            continue
        parsed = _read(module)
        if node.attr in parsed.definitions or node.attr in parsed.imported or _path(f"{module}.{node.attr}"):
            found.add(f"{module}.{node.attr}")
        elif node.attr == "__dict__":
            found |= _whole([module], ours)
        elif node.attr not in parsed.bound and "__getattr__" in parsed.definitions:
            found.add(f"{module}.__getattr__")
    return found


def _modules(module: str, ours: frozenset[str]) -> set[str]:
    """Our modules that importing `module` imports, itself and its packages included."""
    parsed, found = _read(module), {module}
    for dotted in (*parsed.modules, *(one for names in parsed.imported.values() for one in names)):
        if _is_ours(dotted.partition(".")[0], ours):
            found.add(_split(dotted)[0])
    packages = {name.rpartition(".")[0] for name in found if "." in name}
    return found | {name for name in packages if _path(name)}
