"""Outputs and entries of the store that are one file on the disk."""

import errno
import os
from unittest.mock import Mock

import numpy as np
import pytest

from privacy_report.pipeline import files, store
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.store import Entry

pytestmark = pytest.mark.usefixtures("empty_folder")


def test_an_output_is_another_name_of_its_entry(tmp_path):
    """One file on the disk, whose bytes are those that the arrays alone would have."""
    kept = Memo("score@v")
    for kind, linked in (("score", True), ("attack", False)):
        arrays = kept.recall(kind, "k", lambda: {"a": np.arange(9.0)})
        kept.save(tmp_path / "out" / f"{kind}.npz", arrays)
        write_arrays(tmp_path / "alone.npz", arrays)
        assert (tmp_path / "out" / f"{kind}.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()
        assert (tmp_path / "out" / f"{kind}.npz").samefile(store.path_of(kind, "k")) == linked
    kept.save(tmp_path / "out/other.npz", {"a": np.arange(2.0)})
    assert len(files.read_arrays(tmp_path / "out/other.npz")["a"]) == 2
    kept.save(tmp_path / "out/score.npz", kept.recall("score", "k", dict))  # again, over what is there
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "attack.npz",
        "other.npz",
        "score.npz",
    ]


def test_an_output_is_written_where_it_cannot_be_linked(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EXDEV, "Invalid cross-device link")))
    kept = Memo("score@v")
    kept.save(tmp_path / "out.npz", kept.recall("score", "k", lambda: {"a": np.arange(9.0)}))
    assert not (tmp_path / "out.npz").samefile(store.path_of("score", "k"))
    assert len(files.read_arrays(tmp_path / "out.npz")["a"]) == 9


def test_an_output_outlives_its_entry_and_what_replaces_it(tmp_path):
    kept = Memo("score@v")
    kept.save(tmp_path / "out.npz", kept.recall("score", "k", lambda: {"a": np.arange(9.0)}))
    before = (tmp_path / "out.npz").read_bytes()
    store.refill("score", "k", {"a": np.zeros(1)})
    assert (tmp_path / "out.npz").read_bytes() == before
    store.prune(0)
    assert (tmp_path / "out.npz").read_bytes() == before
    assert not list((store.root() / "about/score").iterdir())


def test_outputs_that_dvc_has_replaced_are_shared_again(tmp_path):
    """Equal bytes become one file; the entry is recalled as before, others of the same size stay."""
    for key, value in (("a", 1.0), ("b", 2.0)):
        store.put("score", key, Entry({"a": np.full(1000, value)}, 1.5, "Xeon"))
    (tmp_path / "data/v").mkdir(parents=True)
    for name, value in (("1", 2.0), ("2", 3.0)):
        write_arrays(tmp_path / f"data/v/{name}.npz", {"a": np.full(1000, value)})
    size = (tmp_path / "data/v/1.npz").stat().st_size
    assert store.share(tmp_path / "data") == size
    assert store.path_of("score", "b").samefile(tmp_path / "data/v/1.npz")
    assert [path.stat().st_nlink for path in sorted((tmp_path / "data/v").iterdir())] == [2, 1]
    assert store.get("score", "a").arrays["a"][0] == 1.0
    assert store.get("score", "b").arrays["a"][0] == 2.0
    assert store.share(tmp_path / "data") == 0


def test_nothing_is_shared_where_there_are_no_hard_links(tmp_path, monkeypatch):
    store.put("score", "k", Entry({"a": np.zeros(9)}, 1.5, "Xeon"))
    write_arrays(tmp_path / "data/1.npz", {"a": np.zeros(9)})
    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "Operation not permitted")))
    assert store.share(tmp_path / "data") == 0
    assert store.get("score", "k") is not None
    assert len(list((store.root() / "score").iterdir())) == 1


def test_an_entry_of_an_older_form_is_recalled_and_not_linked(tmp_path):
    write_arrays(
        store.path_of("epoch", "k"),
        {"a": np.arange(3.0), "_seconds": np.array(2.0), "_processor": np.array("Xeon")},
    )
    kept = Memo("train@v")
    arrays = kept.recall("epoch", "k", dict)
    assert (set(arrays), kept.seconds) == ({"a"}, 2.0)
    kept.save(tmp_path / "out.npz", arrays)
    assert set(files.read_arrays(tmp_path / "out.npz")) == {"a"}
