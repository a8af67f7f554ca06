"""`privacy-report verify`: remove outputs and objects of DVC's cache that are not what was recorded."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from privacy_report.errors import UserError
from privacy_report.pipeline.locks import require_no_run
from privacy_report.pipeline.recorded import changed, damaged


def main(argv: Sequence[str]) -> None:
    """Print a line for each file that is removed; exit with 1 when there is one."""
    argparse.ArgumentParser(
        prog="privacy-report verify",
        description="Compare the pipeline's outputs with dvc.lock, and the files in DVC's cache with their "
        "names. What differs is removed; `dvc repro` makes it again. While a stage runs, nothing is done.",
        epilog="Exit code: 0 if all is as recorded, 1 if something was removed, 2 if this is no DVC folder.",
    ).parse_args(argv)
    require_no_run()
    wrong = _wrong()
    if wrong:  # a run may have begun, and even ended, while all this was read
        require_no_run()
        still = _wrong()
        wrong = {path: why for path, why in wrong.items() if path in still}
    for path, why in wrong.items():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(f"{path}: {why}; removed")
    if wrong:
        sys.exit(1)
    print("all outputs that are here are what dvc.lock says, and so is DVC's cache")


def _wrong() -> dict[Path, str]:
    """What differs, and in what way."""
    wrong = {Path(path): f"is not what {stage} has written" for path, stage in changed()}
    return wrong | dict.fromkeys(damaged(_cache()), "an object of DVC's cache, is not what its name says")


def _cache() -> Path:
    """The folder of DVC's cache, which may be shared."""
    asked = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise UserError(f"dvc cache dir: {lines[-1] if lines else 'failed'}")
    return Path(done.stdout.strip())
