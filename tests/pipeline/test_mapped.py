"""Arrays as they lie on disk: equal to what was saved, and refused where they are unsound."""

import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from privacy_report.errors import UserError
from privacy_report.pipeline import blocks, mapped
from privacy_report.pipeline.blocks import Joined
from privacy_report.pipeline.files import DamagedError
from privacy_report.pipeline.mapped import map_arrays

RNG = np.random.default_rng(0)
ARRAYS = {
    "floats": RNG.normal(size=(70, 5)).astype(np.float32),
    "columns": np.asfortranarray(RNG.normal(size=(8, 3))),
    "labels": RNG.integers(0, 5, 70),
    "flags": RNG.random((2, 70)) < 0.5,
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(1.5),
    "text": np.array("a model"),
}

ROWS = np.arange(120.0).reshape(10, 4, 3)


def assert_equal(arrays):
    assert sorted(arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_holds_what_was_saved(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    arrays = map_arrays(tmp_path / "a.npz")
    assert_equal(arrays)
    assert isinstance(arrays["floats"], np.memmap) == (save is np.savez)
    assert not isinstance(arrays["floats"], np.memmap) or arrays["floats"].mode == "r"


def test_a_folder_of_npy_files_does_as_well(tmp_path):
    for name, array in ARRAYS.items():
        np.save(tmp_path / f"{name}.npy", array)
    assert_equal(map_arrays(tmp_path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("n", [350, 100_000])
def test_each_wrong_bit_is_seen(tmp_path, save, n, monkeypatch):
    """In small arrays, which zipfile checks itself as it reads their header, and in those of many blocks."""
    monkeypatch.setattr(blocks, "ELEMENTS", 30_000)
    save(tmp_path / "a.npz", floats=RNG.normal(size=n).astype(np.float32))
    sound = (tmp_path / "a.npz").read_bytes()
    map_arrays(tmp_path / "a.npz")
    for at in np.linspace(200, 3 * n, 14, dtype=int):
        (tmp_path / "a.npz").write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(DamagedError, match=r"a\.npz: damaged"):
            map_arrays(tmp_path / "a.npz")


def write_header(path, shape, n_bytes, compression=zipfile.ZIP_STORED):
    """An .npz whose array `a` claims a shape of float32 and has `n_bytes` zeros."""
    with zipfile.ZipFile(path, "w", compression) as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for _ in range(n_bytes // 1_000_000):
            file.write(bytes(1_000_000))
        file.write(bytes(n_bytes % 1_000_000))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(2**40,), (10**6, 10**6), (9,)])
def test_an_array_that_claims_another_size_than_it_has(tmp_path, shape, compression):
    write_header(tmp_path / "a.npz", shape, 40, compression)
    with pytest.raises(DamagedError, match=r"a\.npy has 40 bytes, its shape needs"):
        map_arrays(tmp_path / "a.npz")


def test_what_would_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    write_header(tmp_path / "a.npz", (25_000_000,), 100_000_000, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(mapped, "memory_at_hand", lambda: mapped.SPARE + 99e6)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *args, **more: pytest.fail("was read"))
    with pytest.raises(UserError, match=r"a\.npz: a unpack to 0\.1 GB, allowed: the 0\.1 GB .* uncompressed"):
        map_arrays(tmp_path / "a.npz")
    monkeypatch.undo()
    monkeypatch.setattr(mapped, "memory_at_hand", lambda: mapped.SPARE + 101e6)
    assert map_arrays(tmp_path / "a.npz")["a"].shape == (25_000_000,)


def test_uncompressed_it_may_be_larger_than_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "memory_at_hand", lambda: 0.0)
    np.savez(tmp_path / "a.npz", **ARRAYS)
    assert_equal(map_arrays(tmp_path / "a.npz"))


def test_memory_at_hand_is_a_part_of_the_machine_s():
    assert 50e6 < mapped.memory_at_hand() < 100e12


def test_pickled_objects_and_other_files(tmp_path):
    np.savez(tmp_path / "a.npz", allow_pickle=True, a=np.array([None, {}]))
    with pytest.raises(DamagedError, match="pickled objects"):
        map_arrays(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"no zip at all")
    with pytest.raises(DamagedError, match=r"b\.npz: damaged"):
        map_arrays(tmp_path / "b.npz")
    with pytest.raises(UserError, match="no such file"):
        map_arrays(tmp_path / "c.npz")


@pytest.mark.parametrize("elements", [1, 7, 15, 10**6])
def test_blocks_are_all_rows_in_order(monkeypatch, elements):
    monkeypatch.setattr(blocks, "ELEMENTS", elements)
    a, b = RNG.normal(size=(4, 5)), RNG.normal(size=(9, 5))
    for rows in (a, Joined((a, b))):
        whole = rows[:]
        assert whole.shape == rows.shape
        seen = list(blocks.blocks(rows))
        np.testing.assert_array_equal(np.concatenate([block for _, block in seen]), whole)
        for span, block in seen:
            np.testing.assert_array_equal(block, whole[span])
            assert block.size <= max(elements, 5)


def test_a_mapped_array_is_the_same_after_its_memory_was_let_go(tmp_path):
    np.save(tmp_path / "a.npy", ARRAYS["floats"])
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert array.sum() == ARRAYS["floats"].sum()
    blocks.forget(np.asarray(array)[3:])
    np.testing.assert_array_equal(array, ARRAYS["floats"])


def file_pages():
    """Bytes of mapped files that this process holds in memory."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssFile:\s+(\d+)", status)[1])


@pytest.mark.skipif(sys.platform != "linux", reason="how much is mapped is read from /proc")
def test_a_walk_over_a_file_never_holds_much_of_it(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones((2000, 2500), np.float32))  # 20 MB
    before = file_pages()
    array = np.asarray(map_arrays(tmp_path / "a.npz")["a"])  # its bytes are checked
    assert file_pages() - before < 5e6
    assert sum(block.sum() for _, block in blocks.blocks(Joined((array, array)))) == 10_000_000
    assert file_pages() - before < 5e6
    assert array.sum() == 5_000_000
    assert file_pages() - before > 15e6


@pytest.fixture(params=[blocks.SMALL, 0], ids=["small", "large"])
def small(request, monkeypatch):
    """Files are small, or large, for what takes rows of them."""
    monkeypatch.setattr(blocks, "SMALL", request.param)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_rows_taken_from_a_large_file_are_all_that_enters_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "SMALL", 0)
    values = np.arange(4_000_000).reshape(-1, 10, 100)
    np.save(tmp_path / "rows.npy", values)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    index = np.array([[3999, 0], [7, 7], [2000, 1000]])
    before = file_pages()
    np.testing.assert_array_equal(blocks.take(rows, index), values[index])
    assert file_pages() - before < 1e5
    np.testing.assert_array_equal(rows[index], values[index])
    assert file_pages() - before > 1e5  # as reading through the mapping does


@pytest.mark.parametrize("rows", [ROWS, ROWS[::2], ROWS[3:]], ids=["all", "every second", "a part"])
@pytest.mark.parametrize("mapped", [True, False])
def test_rows_are_taken_from_any_array(tmp_path, rows, mapped, small):
    if mapped:
        np.save(tmp_path / "rows.npy", rows)
        rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for view in (rows, rows[1:], rows[:, 1:], rows[0]):
        np.testing.assert_array_equal(blocks.take(view, np.array([2, 0])), np.array(view)[[2, 0]])


def test_a_row_behind_the_end_of_the_file_is_an_error(tmp_path, small):
    np.save(tmp_path / "rows.npy", ROWS)
    with pytest.raises(IndexError):
        blocks.take(np.load(tmp_path / "rows.npy", mmap_mode="r"), np.array([len(ROWS)]))


def test_rows_are_those_of_the_file_that_was_mapped_whatever_has_its_name_since(tmp_path, small):
    """Else a run whose data is prepared anew meanwhile would go on with other examples under its key."""
    np.save(tmp_path / "rows.npy", ROWS)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.save(tmp_path / "new.npy", ROWS + 1)
    (tmp_path / "new.npy").replace(tmp_path / "rows.npy")
    np.testing.assert_array_equal(blocks.take(rows, np.array([2, 0])), ROWS[[2, 0]])
