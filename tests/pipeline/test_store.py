"""The store: damage is told from bad luck, pruning, and writes that are all or nothing."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sandbox import ROOT

from privacy_report.commands.store import main
from privacy_report.errors import UserError
from privacy_report.pipeline import files, store
from privacy_report.pipeline.memo import Memo, file_digest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def put(key, **arrays):
    store.put("epoch", key, store.Entry(arrays or {"a": np.arange(1000.0)}, 1.5, "a processor"))


def test_roundtrip_and_miss(folder):
    assert store.get("epoch", "k") is None
    put("k", a=np.arange(3.0))
    found = store.get("epoch", "k")
    np.testing.assert_array_equal(found.arrays["a"], np.arange(3.0))
    assert set(found.arrays) == {"a"}
    assert (found.seconds, found.processor) == (1.5, "a processor")


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other"])
def test_a_damaged_entry_is_set_aside_and_counts_as_absent(damage, folder, capsys):
    put("k")
    path = store.path_of("epoch", "k")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "other":
        files.write_arrays(path, {"a": np.zeros(1)})  # sound, but no entry of the store
    else:
        whole = store.path_of("epoch", "k").read_bytes()
        path.write_bytes({"truncate": whole[:-100], "flip": bytes(content), "empty": b""}[damage])
    bytes_before = path.read_bytes()
    assert store.get("epoch", "k") is None
    assert not path.exists()
    assert path.with_suffix(".damaged").read_bytes() == bytes_before
    assert "set aside" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError("none left"), RuntimeError("no thread"), OSError(5, "I/O")])
def test_bad_luck_destroys_nothing(error, folder, monkeypatch):
    put("k")
    before = store.path_of("epoch", "k").read_bytes()

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files.np, "load", fail)
        with pytest.raises(UserError, match="cannot be read"):
            store.get("epoch", "k")
    assert store.path_of("epoch", "k").read_bytes() == before
    assert store.get("epoch", "k") is not None


def use_all(descriptors):
    """Open files until no descriptor is left."""
    while True:
        try:
            descriptors.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return


def test_no_file_descriptor_left_destroys_nothing(folder):
    put("k")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 8, hard))
        use_all(used)
        with pytest.raises(UserError, match="cannot be read"):
            store.get("epoch", "k")
    finally:
        for one in used:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert store.get("epoch", "k") is not None


def test_a_store_that_may_only_be_read_is_read(folder, monkeypatch):
    put("k")

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert store.get("epoch", "k") is not None
    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(UserError, match="cannot be written"):
        put("other")


def test_dvc_root_names_the_shared_store(folder, monkeypatch, tmp_path_factory):
    shared = tmp_path_factory.mktemp("parent")
    monkeypatch.setenv("DVC_ROOT", str(shared))
    put("k")
    assert (shared / ".store/epoch/k.npz").exists()


def test_prune_drops_the_longest_unused_first(folder, capsys):
    for i, name in enumerate("abc"):
        put(name)
        os.utime(store.path_of("epoch", name), (i, i))
    assert store.get("epoch", "a") is not None  # used now: the youngest
    size = store.path_of("epoch", "a").stat().st_size
    main(["prune", "--keep-mb", str(2 * size / 1e6)])
    assert [name for name in "abc" if store.path_of("epoch", name).exists()] == ["a", "c"]
    assert "removed 1 entries" in capsys.readouterr().out
    main(["prune", "--all"])
    assert store.entries() == []


def test_prune_alone_removes_nothing(folder, capsys):
    put("k")
    with pytest.raises(SystemExit) as stopped:
        main(["prune"])
    assert stopped.value.code == 2
    assert "--keep-mb --all" in capsys.readouterr().err
    assert store.get("epoch", "k") is not None


def test_prune_removes_what_killed_runs_left_but_not_what_is_being_written(folder):
    put("k")
    for name, age in (("old", 7200), ("new", 0)):
        path = store.root() / "epoch" / f".{name}.tmp"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    store.prune(10**9)
    assert sorted(path.name for path in (store.root() / "epoch").iterdir()) == [".new.tmp", "k.npz"]


def test_prune_refuses_a_negative_size(folder):
    with pytest.raises(UserError, match="keep-mb"):
        main(["prune", "--keep-mb", "-1"])


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace"])
def test_kill_in_the_middle_of_a_write_leaves_no_entry(moment, folder):
    code = (
        "import os, signal, numpy as np\n"
        "from privacy_report.pipeline import store\n"
        f"{moment} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.put('epoch', 'k', store.Entry({'a': np.zeros(1000)}, 0.0, ''))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.get("epoch", "k") is None


def test_a_file_and_its_folder_are_on_disk_when_it_is_there(folder, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(os.path.realpath(f"/proc/self/fd/{fd}")) or fsync(fd)
    )
    files.write_json(folder / "new/value.json", 1)
    assert [path.startswith(str(folder / "new/.value.json")) for path in synced] == [True, False]
    assert synced[1] == str(folder / "new")


def test_the_memo_computes_once_and_notes_what_it_took(folder):
    calls = []

    def compute():
        calls.append(1)
        return {"a": np.ones(2)}

    for _ in range(2):
        kept = Memo("train@v")
        np.testing.assert_array_equal(kept.recall("epoch", "k", compute)["a"], np.ones(2))
        kept.close()
    assert len(calls) == 1
    note = files.read_json(".store/notes/train@v.json")
    assert note["seconds"] >= 0
    assert len(note["processors"]) == 1


def test_a_files_digest_follows_its_bytes(folder):
    (folder / "a").write_bytes(b"1")
    before = file_digest("a")
    assert file_digest("a") == before
    (folder / "a").write_bytes(b"2")
    assert file_digest("a") != before
    with pytest.raises(UserError, match=r"^b: no such file"):
        file_digest("b")
