"""The memo: computed once, recalled ever after; digests of what keys are made of."""

import errno
import importlib
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline import memo, store
from privacy_report.pipeline.digests import arrays_digest, digest, file_digest
from privacy_report.pipeline.files import read_arrays, write_arrays
from privacy_report.pipeline.memo import Memo

pytestmark = pytest.mark.usefixtures("empty_folder")


def work(calls, value):
    return lambda: calls.append(value) or {"a": np.full(3, value)}


def test_what_was_computed_once_is_recalled_by_every_stage():
    calls = []
    first = Memo("train@a").recall("epoch", "k", work(calls, 1.0))
    again = Memo("train@b").recall("epoch", "k", work(calls, 2.0))
    np.testing.assert_array_equal(first["a"], again["a"])
    Memo("train@a").recall("epoch", "other", work(calls, 3.0))
    Memo("train@a").recall("score", "k", work(calls, 4.0))
    assert calls == [1.0, 3.0, 4.0]


def test_the_note_tells_of_the_work_and_not_of_its_recall(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 17.0])
    monkeypatch.setattr(memo.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(memo, "processor", lambda: "Xeon B")
    kept = Memo("train@a")
    kept.recall("epoch", "1", work([], 1.0))
    kept.recall("epoch", "2", work([], 2.0))
    monkeypatch.setattr(memo, "processor", lambda: "Xeon A")
    clock = iter([0.0, 1.0])
    later = Memo("train@a")
    for key in "123":
        later.recall("epoch", key, work([], 3.0))
    later.close()
    note = json.loads((store.root() / "notes/train@a.json").read_text())
    assert note == {"seconds": 5.0 + 7.0 + 1.0, "processors": ["Xeon A", "Xeon B"]}


def test_an_entry_that_was_edited_is_computed_again_and_not_recalled():
    """Another weight under the entry's own words of itself: valid, and not what was put."""
    Memo("train@v").recall("epoch", "k", lambda: {"weights/000": np.ones(3)})
    path, calls = store.path_of("epoch", "k"), []
    entry = read_arrays(path)
    assert set(entry) == {"weights/000", store.ABOUT}
    entry["weights/000"][1] = 2.0
    write_arrays(path, entry)
    recalled = Memo("train@v").recall("epoch", "k", lambda: calls.append(1) or {"weights/000": np.ones(3)})
    np.testing.assert_array_equal(recalled["weights/000"], np.ones(3))
    assert calls == [1]
    assert path.with_suffix(store.DAMAGED).exists()
    assert store.get("epoch", "k") is not None


def test_nothing_is_computed_for_a_store_that_cannot_be_written(monkeypatch):
    """Better before hours of work than after them; what is there is recalled all the same."""
    Memo("train@v").recall("epoch", "1", work([], 1.0))
    refused = Mock(side_effect=OSError(errno.EROFS, "Read-only file system"))
    monkeypatch.setattr(store.tempfile, "TemporaryFile", refused)
    kept, calls = Memo("train@v"), []
    assert kept.recall("epoch", "1", work(calls, 2.0))["a"][0] == 1.0
    with pytest.raises(UserError, match=r"^\.store: cannot be written \(Read-only file system\), and not"):
        kept.recall("epoch", "2", work(calls, 2.0))
    assert calls == []


def edited_between(folder, text):
    """What a key's first result comes to where a user's module says something else by then."""
    path = folder / f"own_net_{text is None}.py"  # a name that was not imported yet
    path.write_text("X = 1\n")
    memo.base("privacy_report.pipeline.blocks", chosen=[f"{path.stem}.X"])
    kept = Memo("train@a")
    path.unlink() if text is None else path.write_text(text)
    return kept.recall("epoch", "k", lambda: {"a": np.zeros(1)})


@pytest.mark.parametrize("text", ["X = 2\n", None])
def test_code_that_is_edited_before_it_is_imported_makes_no_entry(text, beside):
    with pytest.raises(UserError, match=r"own_net_\w+\.py: edited while this run began to use it; run again"):
        edited_between(beside, text)
    assert store.get("epoch", "k") is None


@pytest.mark.parametrize("edited", ["before the start", "after the start"])
def test_code_that_was_imported_before_its_key_was_made_is_as_old_as_the_run(edited, beside, monkeypatch):
    """A stage imports much of its code first, and then makes keys of what the disk says."""
    path, now = beside / f"own_net_{edited.split()[0]}.py", time.time()
    path.write_text("X = 1\n")
    importlib.import_module(path.stem)
    path.write_text("X = 2\n")
    os.utime(path, (now - 1, now - 1))
    began = now - 2 if edited == "after the start" else now - 0.5
    monkeypatch.setitem(sys.modules, "stages", SimpleNamespace(BEGAN=began))
    memo.base("privacy_report.pipeline.blocks", chosen=[f"{path.stem}.X"])
    kept = Memo("train@a")
    if edited == "before the start":
        kept.recall("epoch", "k", lambda: {"a": np.zeros(1)})
    else:
        with pytest.raises(UserError, match=rf"{path.name}: edited while this run began to use it"):
            kept.recall("epoch", "k", lambda: {"a": np.zeros(1)})
    assert (store.get("epoch", "k") is None) == (edited == "after the start")


@pytest.mark.parametrize(("name", "known"), [("-m", True), ("pytest", False)])
def test_a_process_that_runs_a_stage_knows_when_it_began(name, known):
    code = "import sys, time; sys.argv[0], now = {!r}, time.time(); import stages; print(stages.BEGAN - now)"
    command = [sys.executable, "-c", code.format(name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (0 <= float(done.stdout) < 60) == known


def test_what_is_edited_after_the_import_is_none_of_a_runs_business(beside):
    path = beside / "own_net_later.py"
    path.write_text("X = 1\n")
    memo.base("privacy_report.pipeline.blocks", chosen=[f"{path.stem}.X"])
    kept = Memo("train@a")
    kept.recall("epoch", "k", lambda: {"a": np.zeros(1)})
    path.write_text("X = 2\n")
    kept.recall("epoch", "other", lambda: {"a": np.zeros(1)})
    assert store.get("epoch", "other") is not None
    with pytest.raises(UserError, match="edited while"):
        kept.require_unchanged()  # whoever loads code later asks again


def test_work_that_fails_is_not_kept():
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Memo("train@a").recall("epoch", "k", fail)
    assert store.get("epoch", "k") is None


def test_a_stage_without_a_store_notes_its_time():
    with memo.timed("gate"):
        pass
    note = json.loads((store.root() / "notes/gate.json").read_text())
    assert note["processors"] == [memo.processor()]
    assert 0 <= note["seconds"] < 60


def test_the_processor_has_a_name_of_one_line():
    assert memo.processor()
    assert "\n" not in memo.processor()


def test_a_digest_tells_values_apart_and_not_the_order_of_keys():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    values = [{}, {"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, {"a": [1]}, {"b": 1}]
    assert len({digest(value) for value in values}) == len(values)


def test_a_digest_of_arrays_tells_names_types_shapes_and_values_apart():
    plain = np.arange(6, dtype=np.float32)
    others = [
        {"b": plain},
        {"a": plain.astype(np.float64)},
        {"a": plain.reshape(2, 3)},
        {"a": plain[::-1]},
        {"a": plain, "b": plain},
        {"a": np.zeros((0, 3))},
        {"a": np.zeros((3, 0))},
        {"a": np.array("text")},
        {"a": np.array(1.0)},
        {"a": np.array([1.0])},
        {},
    ]
    digests = {arrays_digest({"a": plain})} | {arrays_digest(other) for other in others}
    assert len(digests) == len(others) + 1
    assert arrays_digest({"a": np.asfortranarray(plain.reshape(2, 3))}) == arrays_digest(
        {"a": plain.reshape(2, 3)}
    )


def test_a_files_digest_is_of_its_bytes_and_read_once_while_it_stays(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    first = file_digest(path)
    monkeypatch.setattr("builtins.open", None)  # not even opened
    assert file_digest(path) == first
    monkeypatch.undo()
    os.utime(path, ns=(1, 1))
    assert file_digest(path) == first
    path.write_bytes(b"2")
    os.utime(path, ns=(1, 1))
    assert file_digest(str(path)) != first or path.stat().st_mtime_ns == 1


def test_a_file_that_is_replaced_is_read_again(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    for file, content in ((path, b"1"), (other, b"2")):
        file.write_bytes(content)
        os.utime(file, ns=(1, 1))
    first = file_digest(path)
    os.replace(other, path)  # same size, same time, another file
    assert file_digest(path) != first


def test_a_missing_file_says_who_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"none: no such file; `dvc repro` makes it"):
        file_digest(tmp_path / "none")
