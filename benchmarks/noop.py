"""Seconds of a `dvc repro` and a `dvc status` that find nothing to do, with many variants.

Makes a copy of the repository in a temporary folder with `--variants` variants on digits, runs its whole
pipeline, and times the two commands in turn. `python -m benchmarks.noop` prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sandbox import Sandbox, make_sandbox

NAMES = "[cnn2, cnn3, cnn3_dp"
VARIANT = """# @package variants.{name}
defaults:
  - cnn2@_here_
  - _self_

label: {name}
epochs: 2
epochs_per_report: 1
model: {{settings: {{filters: 4, dense_units: 8}}}}
"""


def add_variant(sandbox: Sandbox, name: str) -> None:
    """Its file, and its name in conf/config.yaml, as docs/models.md says."""
    (sandbox.root / f"conf/variant/{name}.yaml").write_text(VARIANT.format(name=name))
    sandbox.edit("conf/config.yaml", NAMES, f"{NAMES}, {name}")


def seconds(sandbox: Sandbox, *command: str) -> float:
    """Wall time of a DVC command that must find nothing to do."""
    started = time.monotonic()
    output = sandbox.dvc(*command).stdout
    took = time.monotonic() - started
    if "up to date" not in output:
        sys.exit(f"dvc {' '.join(command)} found something to do:\n{output}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sandbox = make_sandbox(Path(folder))
        for i in range(3, args.variants):
            add_variant(sandbox, f"extra{i}")
        sandbox.repro()
        stages = len(sandbox.dvc("stage", "list", "--name-only").stdout.splitlines())
        times = [(seconds(sandbox, "repro"), seconds(sandbox, "status")) for _ in range(args.rounds)]
    repro, status = (statistics.median(column) for column in zip(*times, strict=True))
    print(json.dumps({"stages": stages, "repro_seconds": repro, "status_seconds": status}, indent=2))


if __name__ == "__main__":
    main()
