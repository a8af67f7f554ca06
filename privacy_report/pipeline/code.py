"""What code a result passes through: all modules that the one which computes it can import.

The unit is the module. A key holds the syntax of every module of this package in the static import closure of
the root, imports within functions and dotted names in strings included, so that no way of reaching a function
can hide it. Of code that no installed distribution owns (a user's own models) it holds every byte of every
file. Nothing is imported or run to find out.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.digests import digest, file_digest

PACKAGE = "privacy_report"
LIBRARY = Path(__file__).resolve().parents[1]
"""The folder of this package."""
PYTHONS = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
PYTHONS |= {folder / "lib-dynload" for folder in PYTHONS}
"""The folders of Python's own modules."""
DOTTED = re.compile(rf"{PACKAGE}(\.\w+)+")
"""A string that names one of our modules, for whoever imports it later."""
LAZY = ("__dir__", "__getattr__")
"""Functions of the package's own `__init__` that run for users alone, and count in no key: see `_modules`."""


@dataclass(frozen=True)
class Code:
    """The code that a result passes through.

    modules: name of a module of this package -> its file; own: all files of what no distribution owns, by
    their path from the folder that they are imported from; libraries: top-level packages that are imported;
    strings: of the files in `own`; the environment variables that these may read are among them.
    """

    modules: dict[str, Path]
    own: dict[str, Path]
    libraries: frozenset[str]
    strings: frozenset[str]

    @property
    def files(self) -> set[Path]:
        """All files that the digest is made of."""
        return {*self.modules.values(), *self.own.values()}

    def digest(self) -> str:
        """SHA-256 (hex) of what all files say."""
        said = self.says()
        syntax = {name: said[path] for name, path in self.modules.items()}
        return digest([syntax, {name: said[path] for name, path in self.own.items()}])

    def says(self) -> dict[Path, str]:
        """SHA-256 (hex) of what each file that is there says now: a module's syntax, another file's bytes."""
        said = {path: file_digest(path) for path in self.own.values() if path.exists()}
        for name, path in self.modules.items():
            if path.exists():
                said[path] = _syntax(path, *_changed(path), name).digest
        return said

    def versions(self) -> dict[str, str]:
        """Top-level package -> the versions of the distributions that provide it; Python's own, too."""
        by_name = {name: "; ".join(map(_version, _providers(name) or ())) for name in self.libraries}
        return {"Python": platform.python_version()} | {name: said for name, said in by_name.items() if said}


def code_of(*roots: str, chosen: Iterable[str] = (), hands: Iterable[str] = ()) -> Code:
    """The code that is reached from `roots`, dotted names of modules of this package or of what is in them.

    chosen: import paths that a user named, of any package; hands: modules that hand over what the roots get,
    which count alone, without what they import. UserError where there is none such, for a module that is no
    Python, and for code that asks the package for one of the names that it has for users.
    """
    modules: dict[str, Path] = {}
    own: dict[str, Path] = {}
    libraries, strings, seen = set[str](), set[str](), set[str]()
    for dotted in chosen:
        if _spec(top := dotted.partition(".")[0]) is None:
            raise UserError(f"no module {top!r}: is it installed, or next to dvc.yaml?")
    todo = [*roots, *chosen]
    while todo:
        dotted = todo.pop()
        top = dotted.partition(".")[0]
        if top == PACKAGE:
            for name, path in _modules(dotted):
                if name not in modules:
                    modules[name] = path
                    todo += _syntax(path, *_changed(path), name).imports
        elif top not in seen:
            seen.add(top)
            if _providers(top) is not None:
                libraries.add(top)
                continue
            for path in _files(top):
                own.setdefault(_place(path, top), path)  # the first is imported
                if path.suffix == ".py":
                    read = _syntax(path, *_changed(path))
                    todo += read.imports
                    strings |= read.strings
    modules |= dict(pair for dotted in hands for pair in _modules(dotted))
    return Code(modules, own, frozenset(libraries), frozenset(strings))


def own_folder(dotted: str) -> Path | None:
    """Where the top-level module of an import path is, if no installed distribution owns it; else None."""
    top = dotted.partition(".")[0]
    return _roots(top)[0] if top != PACKAGE and _providers(top) is None else None


@dataclass(frozen=True)
class _Syntax:
    """A file's syntax without comments, format and docstrings, what it imports, and its strings."""

    digest: str
    imports: frozenset[str]
    strings: frozenset[str]


@cache
def _syntax(path: Path, mtime: int, size: int, name: str = "") -> _Syntax:
    """What a file says, read anew when it has changed. UserError where it is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: no Python ({one_line(error)})") from None
    strings, imports = set[str](), set[str]()
    if name == PACKAGE:
        tree.body = [statement for statement in tree.body if not _is_lazy(statement)]
    for node in ast.walk(tree):
        imports.update(_imports(node, name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        elif isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _is_text(statement)] or [ast.Pass()]  # type: ignore[attr-defined]
    imports |= {text for text in strings if DOTTED.fullmatch(text)}
    syntax_digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return _Syntax(syntax_digest, frozenset(imports), frozenset(strings))


def _imports(node: ast.AST, name: str) -> Iterator[str]:
    """The dotted names in an import statement; relative ones are refused in the library's module `name`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        if any(alias.name.startswith(f"{PACKAGE}.") and not alias.asname for alias in node.names):
            yield PACKAGE  # which is what it binds
    elif isinstance(node, ast.ImportFrom) and node.level and name:
        raise UserError(f"{name}: a relative import, allowed: absolute ones")
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or any other text that stands alone."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_lazy(statement: ast.stmt) -> bool:
    """A function of LAZY, of which nothing runs before it is called."""
    return (
        isinstance(statement, ast.FunctionDef)
        and statement.name in LAZY
        and not (statement.decorator_list or statement.args.defaults or statement.args.kw_defaults)
    )


def _modules(dotted: str) -> Iterator[tuple[str, Path]]:
    """All modules of this package that a dotted name passes through, and their files.

    UserError for the package itself, and for a name in it that is no module: whoever has the package has, by
    its `__getattr__`, the audit, the gate and the page, which would all have to be in the key.
    """
    parts = dotted.split(".")
    if len(parts) < 2 or not _is_module(parts[1]):
        raise UserError(
            f"{dotted}: no module, so no key can cover it, allowed: from {PACKAGE}.MODULE import NAME"
        )
    for end in range(1, len(parts) + 1):
        path = LIBRARY.joinpath(*parts[1:end])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield ".".join(parts[:end]), file


def _is_module(name: str) -> bool:
    """Whether the package has a module or a package of that name."""
    return (LIBRARY / name / "__init__.py").is_file() or (LIBRARY / f"{name}.py").is_file()


def _files(top: str) -> Iterator[Path]:
    """All files of a user's own module or package, except for what Python compiles. UserError for a link."""
    for root in _roots(top):
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_symlink():
                raise UserError(f"{path}: a link, allowed: files and folders, which DVC sees change")
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _roots(top: str) -> list[Path]:
    """The folders of a top-level package, or the file of a module; none where there is no such thing."""
    spec = _spec(top)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(location) for location in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _place(path: Path, top: str) -> str:
    """A file's path from the folder that it is imported from."""
    root = next(root for root in _roots(top) if path.is_relative_to(root))
    return str(path.relative_to(root.parent))


def _changed(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


@cache
def _spec(top: str) -> ModuleSpec | None:
    """Where a module would be imported from, whether it is loaded or not: TensorFlow adds to its own path."""
    for finder in sys.meta_path:
        if (spec := finder.find_spec(top, None)) is not None:
            return spec
    return None


@cache
def _providers(top: str) -> tuple[str, ...] | None:
    """The distributions that have installed a top-level module, () for Python's own; None for a user's own.

    What counts is the folder that the module would be imported from: an editable package is in another than
    its distribution, and a user's own module may have the name of a library.
    """
    names = set[str]()
    for root in _roots(top):
        if root.parent not in PYTHONS:
            distributions = _installed_by(root)
            if not distributions:
                return None
            names.update(distributions)
    return tuple(sorted(names))


def _installed_by(root: Path) -> list[str]:
    """The distributions next to a top-level module whose lists of files name it."""
    top, folder = root.name.partition(".")[0], [str(root.parent)]
    named = metadata.distributions(name=top, path=folder)  # almost always the one, and fast to find
    for searched in (named, metadata.distributions(path=folder)):
        names = [
            dist.name for dist in searched if re.search(rf"^{top}[/.]", dist.read_text("RECORD") or "", re.M)
        ]
        if names:
            return names
    return []


@cache
def _version(distribution: str) -> str:
    """A distribution's version; of one that came from no index, the digests of its files, too."""
    dist = metadata.distribution(distribution)
    local = dist.read_text("direct_url.json")
    return f"{dist.version} {digest([local, dist.read_text('RECORD')])}" if local else dist.version
