"""The trained attack on real checkpoints, in the default and in the parity mode: whose AUC is higher?

`python benchmarks/against_reference.py data/score/*/epoch_*.npz` prints one line per checkpoint, CSV: the
default's AUC with its 95% interval, the reference's, and whether the reference lies above that interval.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from privacy_report.audits.attacks import audit, audit_params
from privacy_report.pipeline.command import run
from privacy_report.pipeline.outputs import Outputs, read_outputs
from privacy_report.pipeline.tables import Row

ATTACK = "logistic"


def row_of(outputs: Outputs, mode: str) -> Row:
    """The row of the entire dataset in a mode."""
    return audit(outputs, audit_params([ATTACK], [], mode))[0][0]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+", type=Path, help="score files")
    above = below = 0
    files = parser.parse_args(argv).scores
    print("scores,auc,auc_low,auc_high,reference_auc,reference_above")
    for file in files:
        outputs = read_outputs(file)
        ours, theirs = (row_of(outputs, mode) for mode in ("default", "parity"))
        higher = theirs["auc"] > ours["auc_high"]
        above += higher
        below += theirs["auc"] < ours["auc_low"]
        numbers = (ours["auc"], ours["auc_low"], ours["auc_high"], theirs["auc"])
        print(file, *(f"{number:.4f}" for number in numbers), "yes" if higher else "no", sep=",", flush=True)
    print(f"the reference is above the default's interval at {above} and below it at {below} of {len(files)}")


if __name__ == "__main__":
    run(main)
