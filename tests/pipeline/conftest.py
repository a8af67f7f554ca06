"""Folders for a store, and packages whose source the memo reads without importing them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest
from library_keys import keys
from sandbox import ROOT

from privacy_report.pipeline import source, syntax


def forget() -> None:
    """Where modules are and what is in them is looked up once a process."""
    for function in (source._spec, source._path, source._is_local, syntax.parse):
        getattr(function, "cache_clear", lambda: None)()


@contextmanager
def reading_from(folder: Path) -> Iterator[None]:
    """Modules are looked for in a folder first, even those that are imported."""
    found = source._spec

    def first(top: str) -> ModuleSpec | None:
        return PathFinder.find_spec(top, [str(folder)]) or found(top)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_spec", first)
        forget()
        yield
    forget()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, in which a store of its own begins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.fixture
def read_from() -> Iterator[Callable[[Path], None]]:
    """A function after which modules are looked for in a folder first, until the test ends."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(reading_from(folder))


@pytest.fixture(scope="module")
def library_copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the library, from which all keys of a module's tests are computed."""
    copy = tmp_path_factory.mktemp("copy") / "privacy_report"
    shutil.copytree(ROOT / "privacy_report", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with reading_from(copy.parent):
        yield copy


@pytest.fixture
def library(library_copy: Path) -> Iterator[Path]:
    """The copy, which a test may edit: afterwards it is as before."""
    before = {path: path.read_bytes() for path in library_copy.parent.rglob("*") if path.is_file()}
    yield library_copy
    for path in [path for path in library_copy.parent.rglob("*") if path.is_file()]:
        if path not in before:
            path.unlink()
        elif path.read_bytes() != before[path]:
            path.write_bytes(before[path])


@pytest.fixture(scope="module")
def unchanged(library_copy: Path) -> dict[str, str]:
    """All keys of the library as it is."""
    return keys()
