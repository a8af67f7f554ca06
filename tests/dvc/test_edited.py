"""What was edited behind the pipeline's back is made again, or refused in one line: by root and by a user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sandbox import Sandbox, environment

from privacy_report.pipeline.files import read_arrays, write_arrays

pytestmark = pytest.mark.pipeline

NOBODY = 65534
SCORES = "data/score/cnn2/epoch_0002.npz"
EDIT = """
import os, sys
path = sys.argv[1]
mode = os.stat(path).st_mode
if os.geteuid():  # root needs no permission
    os.chmod(path, 0o644)
with open(path, "r+b") as file:
    content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    file.seek(0)
    file.write(content)
os.chmod(path, mode)
"""
"""Changes one bit in place, and puts the mode back."""


@dataclass(frozen=True)
class Account(Sandbox):
    """A sandbox whose commands run as one user of the machine, whom it belongs to."""

    uid: int

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        drop = {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.uid, "extra_groups": []}
        env = environment() | {"HOME": str(self.root.parent)} | env
        done = subprocess.run(
            command, cwd=self.root, env=env, encoding="utf-8", capture_output=True, check=False, **drop
        )
        assert not (check and done.returncode), (
            f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        )
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


@pytest.fixture(params=["root", "user"])
def study(request, _finished: Sandbox) -> Iterator[Account]:
    """The finished study, of root and of a user; where no root runs the tests only of this user."""
    if request.param == "root" and os.geteuid():
        pytest.skip("needs root")
    uid = NOBODY if request.param == "user" and not os.geteuid() else os.geteuid()
    home = Path(tempfile.mkdtemp(prefix="study-"))  # pytest's own folders are closed to others
    try:
        copy = Account(home / "repository", uid)
        shutil.copytree(_finished.root, copy.root, symlinks=True)
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
        yield copy
    finally:
        shutil.rmtree(home)


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
    done = study.dvc("repro", "--force", "--single-item", "attack@cnn2", check=False)
    said = "`privacy-report verify` removes it, `dvc repro` makes it again"
    assert done.returncode != 0
    assert f"error: data/score/cnn2: is not what score@cnn2 has written; {said}\n" in done.stderr
    assert "Traceback" not in done.stderr
    gate = study.python("-m", "privacy_report", "gate", check=False)
    assert (gate.returncode, gate.stderr) == (
        2,
        f"error: {verdict}: is not what gate@cnn2 has written; {said}\n",
    )
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
    if not study.uid:
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
