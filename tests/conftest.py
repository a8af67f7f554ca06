"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox, make_sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A fresh sandbox in which nothing has run."""
    return make_sandbox(tmp_path / "repository")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = make_sandbox(tmp_path_factory.mktemp("finished") / "repository")
    sandbox.repro()
    sandbox.run("git", "add", "--all")
    sandbox.run("git", "commit", "--quiet", "--message=the smallest experiment")
    return sandbox


@pytest.fixture
def finished(_finished: Sandbox, tmp_path: Path) -> Sandbox:
    """A copy of a sandbox whose pipeline has run once and whose results are committed."""
    return _finished.copy(tmp_path / "repository")
