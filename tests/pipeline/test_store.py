"""The store: complete keys, damage, pruning, and writes that are all or nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.training.schema import Privacy
from stages.attack import attack_inputs
from stages.score import score_inputs
from stages.train import epoch_inputs

INPUTS = {"train": epoch_inputs, "score": score_inputs, "attack": attack_inputs}
# What an item's key takes in another way (the item's own file) or leaves alone by design.
ITEM = {"train": set(), "score": {"data/train/cnn2"}, "attack": {"data/score/cnn2"}}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder with this repository's graph, parameters and code, and small stand-ins for its data."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copytree(ROOT / "stages", tmp_path / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    for stage in INPUTS:
        for dep in store.declared(stage, "cnn2").deps:
            path = tmp_path / dep
            if dep.startswith("data/") and not path.exists():
                path = path if path.suffix else path / "part.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def leaves(value, key):
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in leaves(inner, f"{key}.{name}")]
    return [key]


@pytest.mark.parametrize("stage", INPUTS)
def test_every_declared_dep_is_in_the_key(stage, repository):
    before = store.digest(INPUTS[stage]("cnn2"))
    deps = [dep for dep in store.declared(stage, "cnn2").deps if dep not in ITEM[stage]]
    assert len(deps) > 4
    for dep in deps:
        path = repository / dep
        files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
        for file in files:
            content = file.read_bytes()
            file.write_bytes(content + b"\n")
            assert store.digest(INPUTS[stage]("cnn2")) != before, f"a change of {file} is not in the key"
            file.write_bytes(content)
    assert store.digest(INPUTS[stage]("cnn2")) == before


@pytest.mark.parametrize("stage", INPUTS)
def test_every_declared_parameter_is_in_the_key_but_the_number_of_epochs(stage, repository):
    before = store.digest(INPUTS[stage]("cnn2"))
    params = yaml.safe_load(Path("params.yaml").read_text())
    for section in store.declared(stage, "cnn2").params:
        for leaf in leaves(store._at(params, section), section):
            changed = yaml.safe_load(Path("params.yaml").read_text())
            *outer, last = leaf.split(".")
            store._at(changed, ".".join(outer))[last] = "changed"
            (repository / "params.yaml").write_text(yaml.safe_dump(changed))
            same = store.digest(INPUTS[stage]("cnn2")) == before
            assert same == (leaf == "variants.cnn2.epochs"), leaf
            (repository / "params.yaml").write_text(yaml.safe_dump(params))


def test_number_of_epochs_is_in_the_key_where_the_noise_is_solved_for_it(repository):
    def key(privacy):
        return store.digest(epoch_inputs("cnn2", privacy))

    solved, given = Privacy(target_epsilon=8.0), Privacy(noise_multiplier=1.0)
    before = key(solved), key(given)
    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("epochs: 50\n", "epochs: 60\n"))
    assert key(solved) != before[0]
    assert key(given) == before[1]


@pytest.mark.parametrize("stage", ["score", "attack"])
def test_other_items_are_not_in_the_key(stage, repository):
    before = store.digest(INPUTS[stage]("cnn2"))
    (repository / next(iter(ITEM[stage])) / "another.npz").write_bytes(b"2")
    assert store.digest(INPUTS[stage]("cnn2")) == before


def test_versions_of_the_libraries_are_in_the_key(repository, monkeypatch):
    before = store.digest(epoch_inputs("cnn2"))
    monkeypatch.setattr(store, "version", lambda name: "0.0")
    assert store.digest(epoch_inputs("cnn2")) != before


def test_variants_and_stages_have_different_keys(repository):
    (repository / "data/train/cnn3").mkdir()
    keys = {
        store.digest(epoch_inputs("cnn2")),
        store.digest(epoch_inputs("cnn3")),
        store.digest(score_inputs("cnn2")),
    }
    assert len(keys) == 3


def test_missing_dep_is_named(repository):
    shutil.rmtree(repository / "data/prepare")
    with pytest.raises(UserError, match="data/prepare"):
        epoch_inputs("cnn2")


def test_roundtrip_and_miss(repository):
    assert store.get("epoch", "k") is None
    store.put("epoch", "k", {"a": np.arange(3.0)})
    found = store.get("epoch", "k")
    assert found is not None
    np.testing.assert_array_equal(found["a"], np.arange(3.0))


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_damaged_entry_is_a_miss_and_is_removed(damage, repository):
    store.put("epoch", "k", {"a": np.arange(1000.0)})
    path = store.path_of("epoch", "k")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes({"truncate": bytes(content[:-100]), "flip": bytes(content), "empty": b""}[damage])
    assert store.get("epoch", "k") is None
    assert not path.exists()


def test_dvc_root_names_the_shared_store(repository, monkeypatch, tmp_path_factory):
    shared = tmp_path_factory.mktemp("parent")
    monkeypatch.setenv("DVC_ROOT", str(shared))
    store.put("epoch", "k", {"a": np.zeros(1)})
    assert (shared / ".store/epoch/k.npz").exists()


def test_prune_drops_the_longest_unused_first(repository, capsys):
    for i, name in enumerate("abc"):
        store.put("epoch", name, {"a": np.zeros(1000)})
        os.utime(store.path_of("epoch", name), (i, i))
    assert store.get("epoch", "a") is not None  # used now: the youngest
    size = store.path_of("epoch", "a").stat().st_size
    store.main(["prune", "--keep-mb", str(2 * size / 1e6)])
    assert [name for name in "abc" if store.path_of("epoch", name).exists()] == ["a", "c"]
    assert "removed 1 entries" in capsys.readouterr().out
    store.main(["prune"])
    assert store.entries() == []


def test_prune_removes_what_killed_runs_left_but_not_what_is_being_written(repository):
    store.put("epoch", "k", {"a": np.zeros(1)})
    for name, age in (("old", 7200), ("new", 0)):
        path = store.root() / "epoch" / f".{name}.tmp"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    store.prune(10**9)
    assert sorted(path.name for path in (store.root() / "epoch").iterdir()) == [".new.tmp", "k.npz"]


def test_prune_refuses_a_negative_size(repository):
    with pytest.raises(UserError, match="keep-mb"):
        store.main(["prune", "--keep-mb", "-1"])


@pytest.mark.parametrize("moment", ["os.fsync", "os.replace"])
def test_kill_in_the_middle_of_a_write_leaves_no_entry(moment, repository):
    code = (
        "import os, signal, numpy as np\n"
        "from stages import store\n"
        f"{moment} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.put('epoch', 'k', {'a': np.zeros(1000)})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.get("epoch", "k") is None


def test_second_run_waits_for_the_first_and_a_dead_one_blocks_nobody(repository):
    code = (
        "import sys, time\nfrom stages import store\n"
        "with store.exclusive('train', 'cnn2'):\n    print('in', flush=True)\n"
        "    time.sleep(float(sys.argv[1]))"
    )

    def start(seconds):
        return subprocess.Popen(
            [sys.executable, "-c", code, str(seconds)], cwd=repository, stdout=subprocess.PIPE, text=True
        )

    first = start(60)
    assert first.stdout.readline() == "in\n"
    second = start(0)
    assert f"process {first.pid}" in second.stdout.readline()
    assert second.poll() is None
    first.kill()
    assert second.stdout.readline() == "in\n"
    assert (first.wait(), second.wait()) == (-signal.SIGKILL, 0)
    first.stdout.close()
    second.stdout.close()


def test_a_run_whose_parent_died_while_it_waited_leaves_the_work_to_others(repository):
    waiter = (
        "from stages import cli, store\n"
        "def main(argv):\n"
        "    with store.exclusive('train', 'cnn2'):\n        print('in', flush=True)\n"
        "cli.run(main)"
    )
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {waiter!r}])"
    with store.exclusive("train", "cnn2"):
        process = subprocess.Popen(
            [sys.executable, "-c", parent],
            cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert "waiting for another run" in process.stdout.readline()
        time.sleep(0.5)  # until it has noted who its parent is
        process.kill()
        process.wait()
    assert process.stdout.read() == "error: train@cnn2: whoever started this run has ended\n"
    process.stdout.close()
