"""docs/remedies.md: its table is what the study of all remedies says."""

from __future__ import annotations

import csv

from doc_blocks import DOCS, check_block

from benchmarks import remedies


def test_the_table_of_remedies_is_that_of_the_study():
    """`python -m benchmarks.remedies --table` prints it."""
    with open(remedies.STUDY, newline="") as file:
        assert len(list(csv.DictReader(file))) == 10
    check_block(DOCS / "remedies.md", "remedies", remedies.table())


def test_every_remedy_has_a_line_in_the_documentation():
    text = (DOCS / "remedies.md").read_text()
    for name in remedies.remedies():
        assert f"`{name}`" in text, name
