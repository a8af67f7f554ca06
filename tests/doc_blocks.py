"""Tables in docs/ between two comments, which tests hold against committed files."""

from __future__ import annotations

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
