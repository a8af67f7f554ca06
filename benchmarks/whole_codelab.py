"""The whole codelab our way, in full: `dvc repro` of its two variants on CIFAR-10, from an empty store.

A clone of the committed code is cut down to what the codelab has: two variants, 50 epochs each, the threshold
and logistic regression attacks on 25 checkpoints, no reference models. `dvc repro prepare` fetches and cuts
the data before the clock starts. `python -m benchmarks.whole_codelab` adds the seconds, and the CPU seconds
over them, to benchmarks/results.json, and puts the row "whole codelab" in its table right; `make bench` runs
it, too.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from privacy_report.pipeline.files import read_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results.json")
DOWNLOADS = ROOT / ".store/downloads"
ROW = "whole codelab"
CUT = {
    "conf/config.yaml": [(r"variant: \[.*\]", "variant: [cnn2, cnn3]")],
    "conf/reference/default.yaml": [("models: 16", "models: 0"), (r"per_variant: \{.*\}", "per_variant: {}")],
    "conf/attack/default.yaml": [
        (r"attacks: [^\[]*\[[^\]]*\]", "attacks: [threshold, logistic]"),
        (r"released: [^\[]*\[[^\]]*\]", "released: []"),
    ],
}


def dvc(folder: Path, *command: str) -> None:
    """Run DVC in a clone; what it says goes where this process' output goes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        ["dvc", *command], cwd=folder, check=True, env=environment | {"PATH": path}, stdout=sys.stderr
    )


def cut(text: str, edits: list[tuple[str, str]]) -> str:
    """A file's text with edits that each find one place."""
    for old, new in edits:
        text, places = re.subn(old, new, text)
        assert places == 1, f"{places} places for {old}"
    return text


def measure() -> dict[str, float]:
    """The seconds of `dvc repro`, and its CPU seconds over them."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for path, edits in CUT.items():
            (clone / path).write_text(cut((clone / path).read_text("utf-8"), edits), "utf-8")
        if DOWNLOADS.is_dir():
            shutil.copytree(DOWNLOADS, clone / DOWNLOADS.relative_to(ROOT))
        dvc(clone, "repro", "prepare")
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        dvc(clone, "repro")
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cores": used / seconds}


def with_whole(results: dict[str, Any], whole: dict[str, float]) -> dict[str, Any]:
    """The results with what was measured, and its row in their table."""
    row = results["table"][ROW] | {"ours": whole["seconds"]}
    row["ratio"] = row["reference"] / row["ours"]
    return results | {"whole": whole, "table": results["table"] | {ROW: row}}


if __name__ == "__main__":
    results = with_whole(read_json(RESULTS), measure())
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")  # in the order of `codelab`
