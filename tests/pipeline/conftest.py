"""Packages whose source the memo reads without importing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

from privacy_report.pipeline import source, syntax


def forget() -> None:
    """Where modules are and what is in them is looked up once a process."""
    for function in (source._spec, source._path, source._is_local, syntax.parse):
        getattr(function, "cache_clear", lambda: None)()


@pytest.fixture
def read_from(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A function after which modules are looked for in a folder first, even those that are imported."""

    def use(folder: Path) -> None:
        def first(top: str) -> ModuleSpec | None:
            return PathFinder.find_spec(top, [str(folder)]) or found(top)

        monkeypatch.setattr(source, "_spec", first)
        forget()

    found = source._spec
    yield use
    monkeypatch.undo()
    forget()
