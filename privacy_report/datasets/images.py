"""Images of a user's own: a folder a class, or a folder a split with a folder a class in each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from privacy_report.datasets import own, scratch
from privacy_report.datasets.labelled import LabelledImages, RefusedError
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.command import track

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
"""Pillow's names of what docs/data.md lists; of its other readers one starts Ghostscript, for instance."""
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LISTED = 5  # files that cannot be used, of all that are counted
MODES = {"grey": "L", "rgb": "RGB"}
"""Setting `colour` -> Pillow's mode."""


def load(path: Path, size: Sequence[int] | None, colour: str | None, persons: bool = False) -> LabelledImages:
    """uint8 (n, height, width, 1 or 3), by class and file name, numbers in names in their order.

    PATH/CLASS/*.png is one split `all`; PATH/SPLIT/CLASS/*.png (TFDS's ImageFolder) has splits by name.
    size: [height, width] that all are resized to (bilinear), colour: grey or rgb that all are converted to;
    where they are None, images that differ are refused. persons: each class has a folder per person, whose
    name is the same in every class. UserError of one line that names the files.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    splits = _splits(path, 1 + persons)
    names = sorted({_name(folder) for folders in splits.values() for folder in folders}, key=_natural)
    files = [
        (split, names.index(_name(folder)), file)
        for split, folders in splits.items()
        for folder in folders
        for file in _files(folder, persons)
    ]
    if not files:
        raise RefusedError(
            f"{path}: no images, allowed: {path}/CLASS/*.png or {path}/SPLIT/CLASS/*.png"
            + ("; with persons each class has a folder per person" if persons else "")
        )
    pixels = _pixels(path, [file for _, _, file in files], size, colour)
    labels = np.array([label for _, label, _ in files], np.int32)
    parts, who, start = {}, {}, 0
    for split, count in Counter(split for split, _, _ in files).items():
        rows = slice(start, start := start + count)
        parts[split] = pixels[rows], labels[rows]
        who[split] = np.array([_name(file.parent) for _, _, file in files[rows]])
    return own.examples(parts, tuple(names), path, who if persons else None)


def _files(folder: Path, persons: bool) -> list[Path]:
    """The files of a class, numbers in names in their order; with persons those of one after the other."""
    entries = sorted(_visible(folder), key=lambda file: _natural(file.name))
    if not persons:
        return entries
    if flat := [entry for entry in entries if not entry.is_dir()]:
        raise RefusedError(f"{flat[0]}: allowed: a folder per person, since dataset.person says so")
    return [file for person in entries for file in _files(person, False)]


def _pixels(path: Path, files: list[Path], size: Sequence[int] | None, colour: str | None) -> np.ndarray:
    """All images, uint8 (n, height, width, channels). RefusedError that counts the files it cannot use."""
    faults: list[str] = []
    images: scratch.Scratch | None = None
    first = files[0]
    for file in track(files, len(files), f"reading {path}"):
        try:
            image = _read(file, size, colour)
            if images is None:
                images, first = scratch.Scratch(len(files), image.shape, np.uint8), file
            images.add(_same(image, images.array.shape[1:], file, first)[np.newaxis])
        except RefusedError as error:
            faults.append(str(error))
    if len(faults) > 1:
        more = [f"and {len(faults) - LISTED} more"] if len(faults) > LISTED else []
        listed = "; ".join([*faults[:LISTED], *more])
        raise RefusedError(f"{path}: {len(faults)} of {len(files)} files cannot be used: {listed}")
    if faults or images is None:
        raise RefusedError(faults[0])
    return images.array


def _splits(path: Path, levels: int = 1) -> dict[str, list[Path]]:
    """Split -> the folders of its classes, which hold so many levels, the last of them images."""
    top = [folder for folder in _visible(path) if folder.is_dir()]
    if deep := [folder for folder in top if _holds_folders(folder, levels)]:
        if len(deep) < len(top):
            flat = next(folder for folder in top if folder not in deep)
            raise RefusedError(
                f"{path}: {deep[0].name} holds folders and {flat.name} does not, allowed: all or none"
            )
        return {_name(folder): [inner for inner in _visible(folder) if inner.is_dir()] for folder in top}
    return {"all": top}


def _holds_folders(folder: Path, levels: int) -> bool:
    """Whether there is a folder so many levels down."""
    inner = [entry for entry in _visible(folder) if entry.is_dir()]
    return bool(inner) if levels == 1 else any(_holds_folders(subfolder, levels - 1) for subfolder in inner)


def _name(folder: Path) -> str:
    """The name of a split or class, which is UTF-8 whatever the locale."""
    try:
        return os.fsencode(folder.name).decode()
    except UnicodeDecodeError:
        raise RefusedError(f"{str(folder)!a}: a folder's name must be UTF-8") from None


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _read(file: Path, size: Sequence[int] | None, colour: str | None) -> np.ndarray:
    """One image, uint8 (height, width, channels)."""
    if file.suffix.lower() not in ENDINGS:
        raise RefusedError(f"{file}: no image by its name, allowed: {', '.join(ENDINGS)}")
    try:
        with Image.open(file, formats=FORMATS) as opened:
            image: Image.Image = opened
            if image.mode[0] in "IF":
                raise RefusedError(
                    f"{file}: an image of mode {image.mode}, allowed: 8 bits per channel; convert it first"
                )
            if colour:
                image = image.convert(MODES[colour])
            elif image.mode not in MODES.values():
                raise RefusedError(
                    f"{file}: an image of mode {image.mode}; set dataset.colour to grey or rgb"
                )
            if size:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except UnidentifiedImageError:
        allowed = ", ".join(FORMATS)
        raise RefusedError(f"{file}: not readable as an image, allowed by its content: {allowed}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"{file}: not readable as an image ({one_line(error)})") from None
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels


def _same(pixels: np.ndarray, shape: tuple[int, ...], file: Path, first: Path) -> np.ndarray:
    if pixels.shape == shape:
        return pixels
    key = "colour to grey or rgb" if pixels.shape[:2] == shape[:2] else "size to [height, width]"
    raise RefusedError(
        f"{file}: has shape {pixels.shape}, {first} has {shape}; set dataset.{key} to make them equal"
    )


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which "2.png" comes before "10.png"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(chunk), chunk) if chunk[0] in "0123456789" else (1, 0, chunk) for chunk in parts]
