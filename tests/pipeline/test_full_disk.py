"""No room for a file: one line, nothing half-written, and the next run goes on.

The room is a limit of the system on a file's size (RLIMIT_FSIZE): a write beyond it fails as on a full disk,
after it has written a part.
"""

import errno
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target

from privacy_report.errors import UserError
from privacy_report.pipeline import command
from privacy_report.pipeline.files import atomic, write_arrays
from privacy_report.pipeline.outputs import output_arrays
from stages.attack import main as attack


@contextmanager
def room(n_bytes):
    """Files can grow to `n_bytes` in the block, and no further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder):
    """Path -> bytes of what is in a folder, notes of who ran what aside."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in paths if "notes" not in path.parts}


def test_an_array_that_does_not_fit_leaves_the_file_that_was_there(tmp_path):
    write_arrays(tmp_path / "a.npz", {"a": np.arange(3)})
    before = files(tmp_path)
    with room(50_000), pytest.raises(UserError) as caught:
        write_arrays(tmp_path / "a.npz", {"a": np.zeros(10_000)})
    assert str(caught.value).startswith(f"{tmp_path / 'a.npz'}: cannot be written (File too large); finished")
    with (
        room(50_000),
        pytest.raises(UserError, match="cannot be written"),
        atomic(tmp_path / "a.npz") as file,
    ):
        np.save(file, np.zeros(10_000))  # NumPy's own error, which has no number
    assert files(tmp_path) == before


def test_the_attack_stage_goes_on_where_there_was_no_more_room(tmp_path, monkeypatch):
    """Whatever the first file is that does not fit, in the store or among the outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    settings = {"attacks": ["threshold", "trajectory"], "slices": ["entire", "class"]}
    Path("params.yaml").write_text(yaml.safe_dump({"attack": settings}))
    world = planted(k=0)
    write_target(world)
    write_references(Path("data/reference/cnn2"), world.trains, {})
    refused, kept = [], []
    for n_bytes in (1000, 10_000, 12_000, 20_000, 40_000):
        with room(n_bytes):
            try:
                attack(["cnn2"])
            except UserError as error:
                refused.append(str(error))
        assert not list(tmp_path.rglob("*.tmp"))
        kept.append(files(Path("data/attack")))
    assert any(path.startswith(".store") for path in refused)
    assert any(path.startswith("data/attack") for path in refused)
    attack(["cnn2"])
    complete = files(Path("data/attack"))
    assert len(complete) == 7
    for outputs in kept:
        assert all(complete[path] == content for path, content in outputs.items())
    assert len(refused) < 5  # a run with room for all has come through


def test_the_command_says_so_in_one_line(tmp_path):
    """An audit whose examples.csv does not fit: the other files are there, complete."""
    np.savez(tmp_path / "a.npz", **output_arrays(planted(n_member=900).outputs(6)))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, -1));"
        "from privacy_report.__main__ import entry; entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", str(tmp_path / "a.npz"), "--out", str(tmp_path / "audit")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    where = tmp_path / "audit/examples.csv"
    said = f"error: {where}: cannot be written (File too large); finished work is kept"
    assert [line for line in done.stderr.splitlines() if not line.startswith("warning: ")] == [said]
    assert sorted(path.name for path in (tmp_path / "audit").iterdir()) == ["privacy.csv", "summary.json"]


@pytest.mark.parametrize("number", command.FULL)
def test_room_for_no_folder_is_one_line_too(number, capsys):
    def main(argv):
        raise OSError(number, "no room", "data")

    with pytest.raises(SystemExit) as caught:
        command.run(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: data: cannot be written (no room); finished work is kept\n"


def test_other_faults_of_the_system_are_not_taken_for_a_full_disk():
    def main(argv):
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        command.run(main)
