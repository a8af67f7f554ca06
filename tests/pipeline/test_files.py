"""Files that are there whole or not at all, and arrays that are read without trust."""

import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline import files
from privacy_report.pipeline.files import (
    DamagedError,
    atomic,
    empty_folder,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
)


def test_file_and_folder_are_on_disk_before_and_after_the_name_is_there(tmp_path, monkeypatch):
    """Without the folder's fsync a crash of the machine may forget the rename."""
    done = []
    fsync, replace = os.fsync, os.replace

    def noted(fd):
        done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("name") or replace(*paths))
    with atomic(tmp_path / "a") as file:
        file.write(b"x")
    assert done == ["file", "name", "folder"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(error, tmp_path):
    def write():
        with atomic(tmp_path / "a") as file:
            file.write(b"new")
            raise error

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(error):
        write()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace"])
def test_kill_in_the_middle_of_a_write_leaves_no_entry(moment, tmp_path):
    code = (
        "import os, signal, numpy as np\n"
        "from privacy_report.pipeline.files import write_arrays\n"
        f"{moment} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_arrays({str(tmp_path / 'a.npz')!r}, {{'a': np.zeros(1000)}})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]


def test_arrays_come_back_as_they_were_and_rewriting_gives_the_same_bytes(tmp_path):
    arrays = {
        "floats": np.linspace(0, 1, 7, dtype=np.float32),
        "text": np.array("{}"),
        "empty": np.zeros((0, 3), np.int32),
        "one/deep": np.array(True),
    }
    write_arrays(tmp_path / "a.npz", arrays)
    read = read_arrays(tmp_path / "a.npz")
    assert set(read) == set(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype
    write_arrays(tmp_path / "b.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no room"), UserError),
        (RuntimeError("can't start new thread"), UserError),
        (OSError(5, "Input/output error"), UserError),
        (ValueError("bad magic"), DamagedError),
        (EOFError("short"), DamagedError),
        (NotImplementedError("compression 99"), DamagedError),
    ],
)
def test_only_what_lies_in_the_bytes_is_damage(error, kind, tmp_path, monkeypatch):
    write_arrays(tmp_path / "a.npz", {"a": np.zeros(3)})

    def fail(*args, **more):
        raise error

    monkeypatch.setattr(files.np, "load", fail)
    with pytest.raises(UserError, match=r"a\.npz: ") as caught:
        read_arrays(tmp_path / "a.npz")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([None]))
    with pytest.raises(DamagedError, match="plain arrays"):
        read_arrays(tmp_path / "a.npz")


def test_json_is_sorted_and_exact(tmp_path):
    write_json(tmp_path / "a.json", {"b": 0.1 + 0.2, "a": [1, None]})
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index('"b"')
    assert read_json(tmp_path / "a.json") == {"a": [1, None], "b": 0.1 + 0.2}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_an_emptied_folder_is_empty(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").touch()
    for name in ("a", "new/deep"):
        empty_folder(tmp_path / name)
        assert list((tmp_path / name).iterdir()) == []


def test_a_link_in_the_place_of_a_folder_is_removed_and_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/precious").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        empty_folder(tmp_path / name)
        assert not (tmp_path / name).is_symlink()
        assert list((tmp_path / name).iterdir()) == []
    assert (tmp_path / "mine/precious").exists()
