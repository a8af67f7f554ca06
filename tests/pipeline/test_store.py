"""The store: what it keeps, what it survives, and what pruning takes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
from sandbox import ROOT

from privacy_report.__main__ import main as command
from privacy_report.errors import UserError
from privacy_report.pipeline import files, store
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.store import Entry
from privacy_report.pipeline.store_policy import read_policy

pytestmark = pytest.mark.usefixtures("empty_folder")


def put(key="k", n=3, kind="epoch"):
    store.put(kind, key, Entry({"a": np.arange(float(n))}, 1.5, "Xeon"))
    return store.path_of(kind, key)


READ_ONLY = Mock(side_effect=OSError(errno.EROFS, "Read-only file system"))


def test_what_was_put_is_got_and_nothing_else():
    assert store.get("epoch", "k") is None
    put()
    entry = store.get("epoch", "k")
    np.testing.assert_array_equal(entry.arrays["a"], np.arange(3.0))
    assert (set(entry.arrays), entry.seconds, entry.processor) == ({"a"}, 1.5, "Xeon")
    assert store.get("score", "k") is None
    assert store.get("epoch", "other") is None


def test_dvc_root_names_the_shared_store(monkeypatch, tmp_path_factory):
    shared = tmp_path_factory.mktemp("parent")
    monkeypatch.setenv("DVC_ROOT", str(shared))
    put()
    assert (shared / ".store/epoch/k.npz").exists()


def edited(path, **changes):
    """The same entry with other arrays, and what it says of itself as before."""
    write_arrays(path, files.read_arrays(path) | changes)


def forgetful(path):
    """The same entry, which does not say how long it took."""
    about = json.loads(str(files.read_arrays(path)["_about"]))
    del about["seconds"]
    edited(path, _about=np.array(json.dumps(about)))


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "a bit": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "empty": lambda path: path.write_bytes(b""),
    "says nothing": lambda path: write_arrays(path, {"a": np.zeros(3)}),
    "says too little": lambda path: edited(path, _about=np.array('{"digest": "0"}')),
    "does not say how long it took": forgetful,
    "says no JSON": lambda path: edited(path, _about=np.array("{")),
    "says a list": lambda path: edited(path, _about=np.array("[1]")),
    "another value": lambda path: edited(path, a=np.arange(1000.0)[::-1]),
    "another type": lambda path: edited(path, a=np.arange(1000)),
    "another shape": lambda path: edited(path, a=np.arange(1000.0)[None]),
    "an array more": lambda path: edited(path, b=np.zeros(1)),
    "of another key": lambda path: shutil.copy(put("other", n=1000, kind="attack"), path),
    "of another kind": lambda path: shutil.copy(put(n=1000, kind="score"), path),
}


def flipped(content):
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_what_was_put_under_this_key_is_set_aside_and_computed_again(damage, capsys):
    path = put(n=1000, kind="attack")
    DAMAGES[damage](path)
    wrong = path.read_bytes()
    assert store.get("attack", "k") is None
    assert path.with_suffix(".damaged").read_bytes() == wrong
    assert not path.exists()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "k.damaged" in said
    put(n=1000, kind="attack")
    assert store.get("attack", "k") is not None


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("can't start new thread")])
def test_a_passing_error_destroys_nothing(error, monkeypatch):
    path = put()
    before = path.read_bytes()

    def load(*args, **more):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files.np, "load", load)
        with pytest.raises(UserError, match=r"k\.npz: cannot be read \("):
            store.get("epoch", "k")
    assert path.read_bytes() == before
    assert store.get("epoch", "k") is not None


def test_no_file_descriptor_left_destroys_nothing():
    """With a real limit, in a process of its own."""
    path = put()
    code = (
        "import os, resource\n"
        "from privacy_report.errors import UserError\n"
        "from privacy_report.pipeline import store\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
        "held = []\n"
        "try:\n"
        "    while True:\n        held.append(os.open('/dev/null', os.O_RDONLY))\n"
        "except OSError:\n    pass\n"
        "try:\n    store.get('epoch', 'k')\n"
        "except UserError as error:\n    said = str(error)\n"
        "for fd in held:\n    os.close(fd)\n"
        "print(said)\n"
        "assert store.get('epoch', 'k') is not None"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be read (OSError: [Errno 24] Too many open files" in done.stdout
    assert [file.name for file in path.parent.iterdir()] == ["k.npz"]


def test_an_entry_that_vanishes_while_it_is_read_counts_as_absent(monkeypatch):
    path = put()
    read = store.read_arrays
    monkeypatch.setattr(store, "read_arrays", lambda file: path.unlink() or read(file))
    assert store.get("epoch", "k") is None


def test_a_store_that_may_only_be_read_is_read(monkeypatch):
    put()
    monkeypatch.setattr(os, "utime", READ_ONLY)
    assert store.get("epoch", "k") is not None
    path = put("broken")
    path.write_bytes(b"")
    monkeypatch.setattr(os, "replace", READ_ONLY)
    assert store.get("epoch", "broken") is None
    assert path.exists()


def test_a_store_that_cannot_be_written_is_one_line(monkeypatch):
    monkeypatch.setattr(os, "replace", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(
        UserError, match=r"k\.\w+: cannot be written \(No space left on device\); finished"
    ) as error:
        put()
    assert "\n" not in str(error.value)
    assert not [path for path in store.root().rglob("*") if path.is_file()]


def test_prune_drops_the_longest_unused_first(capsys):
    for i, name in enumerate("abc"):
        os.utime(put(name, 1000), (i, i))
    assert store.get("epoch", "a") is not None  # used now: the youngest
    size = store.path_of("epoch", "a").stat().st_size
    command(["store", "prune", "--keep-mb", str(2 * size / 1e6)])
    assert [name for name in "abc" if store.path_of("epoch", name).exists()] == ["a", "c"]
    assert "removed 1 entries" in capsys.readouterr().out
    command(["store", "prune", "--all"])
    assert store.entries() == []


def test_show_is_the_default_and_tells_kinds_and_sizes(capsys):
    put("a", 1000)
    put("b", 1000, "score").with_suffix(".damaged").write_bytes(b"x" * 500)
    command(["store"])
    first = capsys.readouterr().out
    command(["store", "show"])
    assert capsys.readouterr().out == first
    lines = [line.split()[:3] for line in first.splitlines()]
    assert lines == [["epoch", "1", "entries"], ["score", "2", "entries"], ["total", "3", "entries"]]


@pytest.mark.parametrize("options", [[], ["--all", "--keep-mb", "1"]])
def test_prune_without_saying_what_to_keep_is_refused(options, capsys):
    path = put()
    with pytest.raises(SystemExit) as stopped:
        command(["store", "prune", *options])
    assert stopped.value.code == 2
    assert "--keep-mb" in capsys.readouterr().err
    assert path.exists()


@pytest.mark.parametrize("size", ["-1", "nan"])
def test_prune_refuses_an_impossible_size(size):
    path = put()
    with pytest.raises(UserError, match="keep-mb"):
        command(["store", "prune", "--keep-mb", size])
    assert path.exists()


def test_prune_removes_what_killed_runs_left_but_not_what_is_being_written():
    put()
    for name, age in (("old", 7200), ("new", 0)):
        path = store.root() / "epoch" / f".{name}.tmp"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    store.prune(10**9)
    assert sorted(path.name for path in (store.root() / "epoch").iterdir()) == [".new.tmp", "k.npz"]


@pytest.mark.parametrize("where", ["epoch/k.npz", "policy.json", "notes/train@v.json"])
def test_whatever_a_killed_run_was_writing_is_pruned(where):
    """In a process that kills itself while it writes."""
    code = (
        "import os, signal, sys\n"
        "from privacy_report.pipeline.files import atomic\n"
        "with atomic(sys.argv[1]) as file:\n"
        "    file.write(b'x')\n    file.flush()\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = store.root() / where
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert left.name.endswith(".tmp")
    store.prune(10**9)
    assert left.exists()  # it may be a running stage's
    os.utime(left, (time.time() - 7200,) * 2)
    store.prune(10**9)
    assert not left.exists()


def test_what_is_no_entry_is_neither_counted_nor_pruned():
    kept = [store.root() / name for name in ("notes/a.json", "downloads/a.tgz")]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("x")
    assert store.entries() == []
    store.prune(0)
    assert all(path.exists() for path in kept)


def test_a_finished_stage_prunes_to_the_policy_s_size_but_not_what_a_running_one_needs(capsys):
    for i, name in enumerate("abcd"):
        os.utime(put(name, n=1000), (i, i))
    now = time.time()
    os.utime(store.path_of("epoch", "c"), (now - 3600, now - 3600))  # used an hour ago
    command(["store", "policy", "--limit-mb", "0.001"])
    Memo("train@v").close()
    assert sorted(path.stem for path in (store.root() / "epoch").iterdir()) == ["c"]
    assert "store: pruned 3 entries" in capsys.readouterr().out


def test_the_policy_is_shown_and_set(capsys):
    command(["store", "policy", "--limit-mb", "7"])
    command(["store", "policy"])
    assert capsys.readouterr().out == 2 * "is pruned to 7 MB, except for what was used within a day\n"
    with pytest.raises(UserError, match="limit-mb"):
        command(["store", "policy", "--limit-mb", "-1"])
    with pytest.raises(UserError, match="limit-mb: got inf, allowed: a finite number of at least 0"):
        command(["store", "policy", "--limit-mb", "inf"])


@pytest.mark.parametrize("text", ["{", "[]", '{"keep": "last"}', '{"limit_mb": "x"}'])
def test_a_file_that_is_no_policy_is_one_line(text):
    store.root().mkdir()
    (store.root() / "policy.json").write_text(text)
    with pytest.raises(UserError, match=r"^\.store/policy\.json: no policy of the store \(.*\); delete it$"):
        read_policy()
