"""Fixtures shared by all tests."""

from __future__ import annotations

import one_core  # isort: skip  # before NumPy counts the cores

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from sandbox import ROOT, Sandbox, make_sandbox

from privacy_report.pipeline import memo

# An example's time says how busy the machine is, not whether the code is right.
settings.register_profile("on any machine", deadline=None)
settings.load_profile("on any machine")

FIRST = ("test_branches.py", "test_resume.py")
"""Of two processes one makes the finished study for both; the other has work meanwhile that needs none."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run pipelines take minutes: first, so that no process is left with one at the end."""
    items.sort(key=lambda item: (item.get_closest_marker("pipeline") is None, item.path.name not in FIRST))


def pytest_collection_finish() -> None:
    """What was imported stays, so the collector of garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(autouse=True)
def _no_keys_of_other_tests() -> None:
    """A `Memo` looks after the code of all keys that its process has made."""
    memo._used.clear()


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run side by side are told a width, as if there were a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def all_cores() -> Iterator[None]:
    """What the test starts may use every core that there is."""
    if one_core.CAN_PIN:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, one_core.ALL)
        yield
        os.sched_setaffinity(0, mine)
    else:
        yield


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ and dvc.yaml in an empty folder, which is the working folder."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return tmp_path


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A fresh sandbox in which nothing has run."""
    return make_sandbox(tmp_path / "repository")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Made once for all processes that run tests side by side; to be copied, never to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    done = folder / "finished"
    with FileLock(folder / "finished.lock"):
        if not done.exists():
            sandbox = make_sandbox(tmp_path_factory.mktemp("making") / "repository")
            sandbox.repro()
            sandbox.run("git", "add", "--all")
            sandbox.run("git", "commit", "--quiet", "--message=the smallest experiment")
            sandbox.root.rename(done)
    return Sandbox(done)


@pytest.fixture
def finished(_finished: Sandbox, tmp_path: Path) -> Sandbox:
    """A copy of a sandbox whose pipeline has run once and whose results are committed."""
    return _finished.copy(tmp_path / "repository")
