"""docs/remedies.md: its table is what the committed study of the remedies says, once there is one."""

from __future__ import annotations

import csv

from doc_blocks import DOCS, check_block

from benchmarks import remedies


def test_the_table_of_remedies_is_that_of_the_study():
    """`python -m benchmarks.remedies --table` prints it; without a study there is none."""
    done = remedies.STUDY.exists()
    with open(remedies.STUDY if done else "/dev/null", newline="") as file:
        found = [row["label"] for row in csv.DictReader(file)]
    check_block(DOCS / "remedies.md", "remedies", remedies.table() if found else [])


def test_every_remedy_has_a_line_in_the_documentation():
    text = (DOCS / "remedies.md").read_text()
    for name in remedies.remedies():
        assert f"`{name}`" in text, name
