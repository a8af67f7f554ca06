"""Read image-classification datasets with TensorFlow Datasets (TFDS).

TFDS and TensorFlow cost seconds to import, so that happens inside the functions that need them.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from privacy_report.datasets import scratch
from privacy_report.datasets.labelled import DamagedError, LabelledImages, RefusedError, UnavailableError
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.command import track
from privacy_report.pipeline.params import one_of

PROBE_SECONDS = 4.0
BATCH = 500


def user_folder() -> Path:
    """Where TFDS keeps the user's datasets: TFDS_DATA_DIR, or the default folder."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def may_hold(folder: Path, name: str) -> bool:
    """Whether `folder` may hold dataset `name` ("mnist", "name/config"), told without importing TFDS."""
    return any((folder / name).glob("**/dataset_info.json"))


def copy_in(folder: Path, name: str) -> Any:
    """The TFDS builder of the newest copy of dataset `name` in `folder`.

    Raises UnavailableError where there is none, DamagedError for one whose description is.
    """
    if not may_hold(folder, name):
        raise UnavailableError(f"none in {folder}")
    tfds = _tfds()
    try:
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=str(folder))
    except tfds.core.DatasetNotFoundError:
        raise UnavailableError(f"none in {folder}") from None
    except Exception as error:  # whatever a damaged description makes TFDS stumble over
        raise DamagedError(f"{folder / name}: not a sound TFDS dataset ({_short(error)})") from None


def download(name: str, folder: Path) -> Any:
    """Download and prepare dataset `name` into `folder`; its TFDS builder.

    Raises RefusedError for a name that TFDS does not know, with those that are close, and UnavailableError
    when a host does not answer or the download fails.
    """
    tfds = _tfds()
    try:
        kind = tfds.builder_cls(name.partition("/")[0])
    except tfds.core.DatasetNotFoundError:
        known = [*tfds.list_builders(with_community_datasets=False), "digits"]
        close = difflib.get_close_matches(name, known, n=5)
        hint = f"close names: {', '.join(close)}" if close else "no known name is close to it"
        raise RefusedError(
            f"dataset.name: TFDS knows no dataset {name!r}, and there is no copy on disk; {hint}"
        ) from None
    probe(kind.url_infos or ())
    try:
        builder = tfds.builder(name, data_dir=str(folder))
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
    except Exception as error:  # TFDS lets through errors of its downloaders, parsers and file systems
        raise UnavailableError(f"TFDS could not download {name} ({_short(error)})") from None
    return builder


def probe(urls: Iterable[str]) -> None:
    """Ask each host of `urls` once; UnavailableError for the first that does not answer within seconds.

    TFDS itself would retry for minutes. Any answer will do, an HTTP error too.
    """
    for host in dict.fromkeys(
        f"{u.scheme}://{u.netloc}/" for u in map(urlsplit, urls) if u.scheme[:4] == "http"
    ):
        failure: list[str] = ["no answer"]
        # In a thread, since no timeout bounds the resolution of the name.
        thread = threading.Thread(target=_ask, args=(host, failure), daemon=True)
        thread.start()
        thread.join(PROBE_SECONDS)
        if failure:
            raise UnavailableError(f"{urlsplit(host).netloc} does not answer ({failure[0]})")


def _ask(url: str, failure: list[str]) -> None:
    """Empty `failure` when the host answers, else say in it why not."""
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            failure.clear()
    except urllib.error.HTTPError as error:
        error.close()
        failure.clear()
    except (OSError, ValueError) as error:
        failure[0] = _short(getattr(error, "reason", error))


def read(builder: Any, splits: Sequence[str]) -> LabelledImages:
    """The examples of `splits`, one after the other, as images, labels and class names.

    Within a split the order is that of the feature `id` where there is one (numbers in it count as
    numbers), else TFDS's own with shuffle_files=False. Raises UserError for a split that is missing
    and RefusedError for a dataset without one image and one class label, for images of several shapes or
    not of 8 bits, its kind DamagedError for damaged files.
    """
    for split in splits:
        one_of(f"dataset: split of {builder.name}", split, list(builder.info.splits))
    image, label = _features(builder)
    parts = [_read_split(builder, split, image, label) for split in splits]
    if len(shapes := dict.fromkeys(images.shape[1:] for images, _ in parts)) > 1:
        raise RefusedError(f"{builder.name}: images of several shapes, {_list(shapes)}; one is required")
    ends = np.cumsum([0] + [len(labels) for _, labels in parts]).tolist()
    rows = {split: range(ends[k], ends[k + 1]) for k, split in enumerate(splits)}
    names = builder.info.features[label].names
    try:
        images = scratch.joined([images for images, _ in parts])
        labels = np.concatenate([labels for _, labels in parts])
        return LabelledImages(images, labels, tuple(names), rows)
    except RefusedError as error:
        raise RefusedError(f"{builder.name}: {error}") from None


def _features(builder: Any) -> tuple[str, str]:
    """The names of the image and of the class label among the dataset's features."""
    tfds = _tfds()
    features = builder.info.features
    pair = []
    for kind, what in ((tfds.features.Image, "image"), (tfds.features.ClassLabel, "class label")):
        names = [name for name in features if isinstance(features[name], kind)]
        chosen = [name for name in names if name in (builder.info.supervised_keys or ())] or names
        if len(chosen) != 1:
            have = f"it has {', '.join(names)}" if names else f"its features are {', '.join(features)}"
            raise RefusedError(
                f"{builder.name}: not an image-classification dataset: needs one {what}, {have}"
            )
        pair.append(chosen[0])
    return pair[0], pair[1]


def _read_split(builder: Any, split: str, image: str, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and int32 labels of one split, in canonical order."""
    tfds = _tfds()
    features = builder.info.features
    n = builder.info.splits[split].num_examples
    keys = [image, label, *(["id"] if _has_id(tfds, features) else [])]
    batch = BATCH if None not in features[image].shape else 1
    read_config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    columns: dict[str, list[np.ndarray]] = {key: [] for key in keys if key != image}
    shapes: dict[tuple[int, ...], None] = {}
    images, got = None, 0
    try:
        dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=read_config)
        batches = dataset.map(lambda row: {key: row[key] for key in keys}).batch(batch)
        for rows in track(tfds.as_numpy(batches), -(-n // batch), f"reading {builder.name} {split}"):
            pixels, got = rows[image], got + len(rows[image])
            shapes[pixels.shape[1:]] = None
            images = images or scratch.Scratch(n, pixels.shape[1:], pixels.dtype)
            if len(shapes) == 1 and got <= n:
                images.add(pixels)
            for key, column in columns.items():
                column.append(rows[key])
    except UserError:
        raise
    except Exception as error:  # TensorFlow's errors for truncated or altered records
        raise DamagedError(f"{builder.name}: {builder.data_dir} cannot be read ({_short(error)})") from None
    if len(shapes) > 1:
        raise RefusedError(f"{builder.name}: images of several shapes, {_list(shapes)}; one is required")
    if got != n or images is None:
        raise DamagedError(
            f"{builder.name}: split {split} at {builder.data_dir} holds {got} examples, not {n}"
        )
    labels = np.concatenate(columns[label]).astype(np.int32)
    if "id" not in keys:
        return images.array, labels
    ids = np.concatenate(columns["id"]).tolist()
    order = np.array(sorted(range(n), key=lambda row: _natural(ids[row])))
    return scratch.ordered(images.array, order), labels[order]


def _has_id(tfds: Any, features: Any) -> bool:
    """Whether the dataset names its examples in a feature `id`, a text or a number."""
    return (
        "id" in features and isinstance(features["id"], tfds.features.Tensor) and features["id"].shape == ()
    )


def _natural(name: bytes | int | float) -> list[tuple[int, float, str]]:
    """A sort key by which "train_2" comes before "train_10"."""
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(0, int(chunk), "") if chunk[0].isdigit() else (1, 0, chunk) for chunk in parts]


def _list(shapes: Iterable[tuple[int, ...]]) -> str:
    some = [" x ".join(map(str, shape)) for shape in shapes]
    return ", ".join(some[:3]) + (f" and {len(some) - 3} more" if len(some) > 3 else "")


def _short(error: object, limit: int = 200) -> str:
    """An error's text on one line, shortened to `limit` characters."""
    text = one_line(error)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _tfds() -> Any:
    """TFDS, imported at the first use and kept from asking hosts nobody mentioned."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NO_GCE_CHECK", "true")
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds
