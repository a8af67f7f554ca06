"""The epoch in a checkpoint's file name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from privacy_report.errors import UserError


def by_epoch(files: Iterable[Path], remedy: str = "") -> dict[int, Path]:
    """Epoch -> file, ascending; the epoch is the last number in a file's name.

    remedy: the end of an error's line. UserError for a name without a number, and two files of one epoch.
    """
    file_of: dict[int, Path] = {}
    for file in sorted(files):
        digits = re.findall(r"[0-9]+", file.stem)
        if not digits:
            raise UserError(
                f"{file}: its name must end in its epoch, such as epoch_0002{file.suffix}{remedy}"
            )
        if (epoch := int(digits[-1])) in file_of:
            raise UserError(f"{file}: epoch {epoch}, as {file_of[epoch]}{remedy}")
        file_of[epoch] = file
    return dict(sorted(file_of.items()))
