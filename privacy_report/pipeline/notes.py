"""What a table's column `note` says, without what varies from row to row."""

from __future__ import annotations

import re

ASKED = re.compile(r"\d+ quer(y|ies)\b")


def of_queries(queries: int, every: bool) -> str:
    """How many of so many queries an attack uses: every one, or one for comparison."""
    return f"{queries} queries" if every else f"1 query of {queries}, which does not count"


def queries_in(note: str) -> str:
    """What a note says of queries; nothing where an attack asks about the examples themselves alone."""
    return next(filter(ASKED.match, note.split("; ")), "")


def reasons(note: str) -> list[str]:
    """The reasons in a note of privacy.csv, without the counts that vary; queries are none."""
    parts = (clause for clause in note.split("; ") if clause and not ASKED.match(clause))
    bare = (re.sub(r", has \d+.*$", "", clause) for clause in parts)
    return [
        re.sub(
            r"^not attacked: .*\b(at least \d+) of each.*$",
            r"not attacked: \1 of each side are needed",
            reason,
        )
        for reason in bare
    ]
