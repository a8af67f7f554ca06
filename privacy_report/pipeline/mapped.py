"""Arrays of a file as they lie on disk: memory-mapped, so that a file may be larger than memory."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.files import reading

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
LOCAL = struct.Struct("<26x2H")  # of a zip member's local header: the lengths of its name and its extra field
SPARE = 500e6
"""Bytes of memory that the work itself takes next to arrays that had to be unpacked."""


def map_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of an .npz, or of a folder's NAME.npy files, read-only; never unpickles.

    Uncompressed arrays are memory-mapped, others are unpacked into memory. DamagedError when the bytes are no
    sound .npz, UserError when they cannot be read or would not fit into memory, before anything is unpacked.
    """
    with reading(path):
        if Path(path).is_dir():
            files = sorted(Path(path).glob("*.npy"))
            if not files:
                raise UserError(f"{path}: a directory without any NAME.npy")
            return {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in files}
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            _check_size(path, members)
            return {member.filename.removesuffix(".npy"): _array(path, archive, member) for member in members}


def _check_size(path: Path | str, members: list[zipfile.ZipInfo]) -> None:
    """UserError where the compressed members would not fit into memory."""
    packed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    size, room = sum(member.file_size for member in packed), memory_at_hand() - SPARE
    if packed and size > room:
        names = ", ".join(member.filename.removesuffix(".npy") for member in packed)
        raise UserError(
            f"{path}: {names} unpack to {size / 1e9:.1f} GB, allowed: the {max(room, 0) / 1e9:.1f} GB of "
            "memory at hand; save them uncompressed (np.savez), they are read in parts then"
        )


def _array(path: Path | str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, mapped where it can be; its bytes are checked."""
    with archive.open(member) as file:
        shape, fortran, dtype = _header(file)
        start, size = file.tell(), math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects")
        if start + size != member.file_size:
            raise ValueError(
                f"{member.filename} has {member.file_size - start} bytes, its shape needs {size}"
            )
        if member.compress_type != zipfile.ZIP_STORED or not size:
            flat = np.frombuffer(bytearray(file.read()), dtype)
            return flat.reshape(shape, order="F" if fortran else "C")
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        offset = member.header_offset + 30 + sum(LOCAL.unpack(file.read(30)))
    whole = np.memmap(path, np.uint8, "r", offset, (member.file_size,))
    crc = 0
    for _, block in blocks(whole):
        crc = zlib.crc32(block.data, crc)
    if crc != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")
    return np.memmap(path, dtype, "r", offset + start, shape, "F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of an array that starts where `file` stands."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"unknown version {version} of an array")
    return HEADERS[version](file)


def memory_at_hand() -> float:
    """Bytes that this process can still take: of the system's, or of its group's where that is limited."""
    limits = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        limits += [float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limits.append(
            float((group / "memory.max").read_text(encoding="utf-8"))
            - float((group / "memory.current").read_text(encoding="utf-8"))
        )
    except (OSError, ValueError):  # no Linux, or a group without a limit ("max")
        pass
    return min(limits)
