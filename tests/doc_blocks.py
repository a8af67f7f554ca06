"""Tables in docs/: their cells, and those between two comments, which tests hold against committed files."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox import ROOT

README, DOCS = ROOT / "README.md", ROOT / "docs"


def check_block(page: Path, name: str, expected: list[str]) -> None:
    """The table lines between <!-- name --> and <!-- /name --> are the expected ones."""
    block = page.read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert lines == expected, f"{page.name}, {name}, expected:\n" + "\n".join(expected)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, one line per row."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def section(page: str, heading: str) -> str:
    """A section of a page in docs/, up to the next heading of any level."""
    pieces = re.split(r"^#+ (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return pieces[pieces.index(heading) + 1]


def cells(text: str) -> list[list[str]]:
    """The rows of a text's tables, without their heads."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rules = [i for i, row in enumerate(rows) if set("".join(row)) <= {"-", ":"}]
    heads = {*rules, *(i - 1 for i in rules)}
    return [row for i, row in enumerate(rows) if i not in heads]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
