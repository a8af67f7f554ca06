"""What a table's column `note` says, without what varies from row to row."""

from __future__ import annotations

import re


def reasons(note: str) -> list[str]:
    """The reasons in a note of privacy.csv, without the counts that vary."""
    bare = (re.sub(r", has \d+.*$", "", part) for part in note.split("; ") if part)
    return [
        re.sub(
            r"^not attacked: .*\b(at least \d+) of each.*$", r"not attacked: \1 of each side are needed", one
        )
        for one in bare
    ]
