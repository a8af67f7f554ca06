"""What was edited behind the pipeline's back is made again, or refused in one line: by root and by a user."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sandbox import Sandbox, environment

from privacy_report.pipeline.files import read_arrays, write_arrays

pytestmark = pytest.mark.pipeline

SCORES = "data/score/cnn2/epoch_0002.npz"
EDIT = """
import os, sys
path = sys.argv[1]
mode = os.stat(path).st_mode
try:
    file = open(path, "r+b")
except PermissionError:
    os.chmod(path, 0o644)
    file = open(path, "r+b")
with file:
    content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    file.seek(0)
    file.write(content)
os.chmod(path, mode)
"""
"""Changes one bit in place, and puts the mode back."""
DROP, CAPABILITIES = 24, 64  # of prctl(2): PR_CAPBSET_DROP


def without_privileges() -> None:
    """Leave root what any owner of files may do: what is executed next has no capabilities."""
    libc = ctypes.CDLL(None)
    for capability in range(CAPABILITIES):
        libc.prctl(DROP, capability, 0, 0, 0)


@dataclass(frozen=True)
class Account(Sandbox):
    """A sandbox whose commands run as root, or with no more rights than the owner of its files has."""

    is_root: bool

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        drop = None if self.is_root or os.geteuid() else without_privileges
        done = subprocess.run(
            command, cwd=self.root, env=environment() | env, encoding="utf-8", capture_output=True,
            check=False, preexec_fn=drop,
        )  # fmt: skip
        assert not (check and done.returncode), f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def edit_in_place(self, path: Path | str) -> None:
        self.python("-c", EDIT, str(path))

    def object_of(self, path: str) -> Path:
        """DVC's own copy of an output."""
        name = hashlib.md5((self.root / path).read_bytes()).hexdigest()
        return self.root / ".dvc/cache/files/md5" / name[:2] / name[2:]

    def is_as_committed(self) -> bool:
        """Whether dvc.lock and all that git keeps are as they were, and nothing is left to run."""
        status = self.dvc("status").stdout.strip()
        return not self.run("git", "status", "--porcelain").stdout and status == UP_TO_DATE


UP_TO_DATE = "Data and pipelines are up to date."


@pytest.fixture(params=[pytest.param("root", marks=pytest.mark.slow), "user"])
def study(request, finished: Sandbox) -> Account:
    """The finished study."""
    if request.param == "root" and os.geteuid():
        pytest.skip("needs root")
    return Account(finished.root, request.param == "root")


def test_edits_behind_the_pipelines_back_are_noticed(study: Account):
    before = (study.root / SCORES).read_bytes()

    # an output: DVC sees that it was touched, and its cache is another file
    study.edit_in_place(SCORES)
    assert (study.root / SCORES).read_bytes() != before
    assert f"modified:           {Path(SCORES).parent}" in study.dvc("status").stdout
    study.dvc("checkout", "--force", str(Path(SCORES).parent))
    assert (study.root / SCORES).read_bytes() == before
    study.edit_in_place(SCORES)
    study.repro()
    assert (study.root / SCORES).read_bytes() == before
    assert study.is_as_committed()

    # an object of the cache: DVC trusts it, and the output that it makes of it
    verdict = "data/gate/cnn2.json"
    for path in (SCORES, verdict):
        study.edit_in_place(study.object_of(path))
        (study.root / path).unlink()
    study.dvc("checkout")
    said = "`privacy-report verify` removes it, `dvc repro` makes it again"
    gate = study.python("-m", "privacy_report", "gate", check=False)
    assert (gate.returncode, gate.stderr) == (
        2,
        f"error: {verdict}: is not what gate@cnn2 has written; {said}\n",
    )
    done = study.dvc("repro", "--force", "--single-item", "attack@cnn2", check=False)
    assert done.returncode != 0
    assert f"error: data/score/cnn2: is not what score@cnn2 has written; {said}\n" in done.stderr
    assert "Traceback" not in done.stderr
    verified = study.python("-m", "privacy_report", "verify", check=False)
    assert verified.returncode == 1
    assert [line.split(": ")[0] for line in verified.stdout.splitlines()][:2] == ["data/score/cnn2", verdict]
    assert len(verified.stdout.splitlines()) == 4  # and the two objects
    study.repro()
    assert (study.root / SCORES).read_bytes() == before
    assert study.python("-m", "privacy_report", "verify").stdout.startswith("all outputs")
    assert study.is_as_committed()

    # an entry of the store: another weight, and what it says of itself as before
    for path in (study.root / ".store/epoch").iterdir():
        entry = read_arrays(path)
        write_arrays(path, entry | {"weights/000": entry["weights/000"] + np.float32(1)})
    done = study.dvc("repro", "--force", "--single-item", "train@cnn2")
    assert done.stderr.count("store: a damaged entry is set aside as") == 2
    assert study.is_as_committed()


def test_no_file_is_another_ones_other_name(study: Account):
    """Outputs, DVC's cache and the store: whoever writes to one of them reaches no other."""
    files = [
        path
        for top in ("data", "models", "plots", ".dvc/cache", ".store")
        for path in (study.root / top).rglob("*")
        if path.is_file()
    ]
    assert len(files) > 100
    assert {path.stat().st_nlink for path in files} == {1}


@pytest.mark.parametrize("complete", [True, False])
def test_a_store_that_may_only_be_read(study: Account, complete: bool):
    """Whatever is in it is recalled; where something is missing it is said before the work."""
    if study.is_root:
        pytest.skip("root may write everywhere")
    store = study.root / ".store"
    if not complete:
        shutil.rmtree(store / "epoch")
    for folder in (store, *store.glob("*/")):
        folder.chmod(0o555)
    before = sorted(store.rglob("*"))
    done = study.python("-m", "stages.train", "cnn2", check=False)
    if complete:
        assert done.returncode == 0, done.stderr
        assert study.dvc("status").stdout.strip() == UP_TO_DATE
    else:
        assert done.returncode == 2
        assert done.stderr == (
            "error: .store: cannot be written (Permission denied), and not all that is needed is in it\n"
        )
    assert sorted(store.rglob("*")) == before
    for folder in (store, *store.glob("*/")):
        folder.chmod(0o755)


def test_git_ignores_what_a_killed_run_was_writing(sandbox: Sandbox):
    left = ["metrics/.cnn2.json.abc.tmp", "plots/.report.html.abc.tmp", "data/.x.tmp"]
    assert sandbox.run("git", "check-ignore", *left).stdout.split() == left
