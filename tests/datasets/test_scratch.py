"""Data sets larger than memory: rows that wait on the disk, and a prepare whose memory does not grow."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from sandbox import ROOT, environment

from privacy_report.datasets import scratch
from privacy_report.errors import UserError

RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 256, (50, 3, 2), np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(scratch, "HELD", 40)  # bytes: a few rows at a time


def test_rows_are_added_one_after_the_other():
    disk_rows = scratch.Scratch(len(ROWS), ROWS.shape[1:], ROWS.dtype)
    for start in range(0, 50, 7):
        disk_rows.add(ROWS[start : start + 7])
    np.testing.assert_array_equal(disk_rows.array, ROWS)
    assert list(Path(".store").iterdir()) == []  # the file has no name


@pytest.mark.parametrize("cuts", [[], [10], [10, 10, 49]])
def test_arrays_are_joined(cuts):
    np.testing.assert_array_equal(scratch.joined(np.split(ROWS, cuts)), ROWS)


@pytest.mark.parametrize("order", [np.arange(50), RNG.permutation(50)], ids=["as they are", "another"])
def test_rows_are_put_in_order(order):
    np.testing.assert_array_equal(scratch.ordered(ROWS, order), ROWS[order])


def test_where_there_is_no_room_it_says_how_much_is_needed():
    with pytest.raises(UserError, match=r"^\.store: no room for 3000000000\.0 GB \([^\n]+\)$"):
        scratch.Scratch(10**18, (3,), np.uint8)


PREPARE = """
from pathlib import Path
from stages.prepare import main
main([])
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_memory_of_prepare_does_not_grow_with_the_data_set():
    """Two splits, which are joined, of together 6 and 185 MB."""
    split = {"member_split": "train", "nonmember_split": "test"}
    Path("params.yaml").write_text(
        yaml.safe_dump({"dataset": {"name": "arrays", "path": "own_data/big", **split}})
    )
    Path("own_data/big").mkdir(parents=True)
    peaks = []
    for n in (1_000, 30_000):
        for name in split.values():
            mapped = np.lib.format.open_memmap(
                f"own_data/big/{name}_features.npy", "w+", np.uint8, (n, 32, 32, 3)
            )
            mapped[:, 0, 0, 0] = np.arange(n) % 256
            np.save(f"own_data/big/{name}_labels.npy", np.arange(n) % 10)
        done = subprocess.run(
            [sys.executable, "-c", PREPARE], env=environment() | {"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-1]) / 1000)
        assert np.load("data/prepare/images.npy", mmap_mode="r").shape == (2 * n, 32, 32, 3)
    assert peaks[1] - peaks[0] < 60, peaks
