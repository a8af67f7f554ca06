"""Folders for a store, and modules that the memo reads without importing them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy_report.pipeline import code

OWN = "own_nets_of_a_test"
"""The name of a user's own folder or module."""


def put(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write files by their paths; one without a suffix is Python."""
    for name, content in files.items():
        path = folder / (name if "." in Path(name).name else f"{name}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    importlib.invalidate_caches()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder, in which a store of its own begins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.fixture
def forget() -> Iterator[None]:
    """Where modules are is looked up once a process: anew in this test, and after it."""
    cached = (code._spec, code._providers, code._version)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None) -> Path:
    """A folder in which modules are looked for first, as next to dvc.yaml."""
    folder = tmp_path / "beside"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder
