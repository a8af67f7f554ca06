"""docs/development.md: what each package is for and what it imports is what the code says."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from doc_blocks import cells, quoted, section
from sandbox import ROOT


def room(dotted: str) -> str:
    """The room that a module is in: a package of the library, a module next to them, or stages."""
    parts = dotted.split(".")
    return parts[0] if parts[0] == "stages" or len(parts) == 1 else ".".join(parts[:2])


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_by_room() -> dict[str, tuple[set[str], set[str]]]:
    """Room -> the rooms and the libraries that its files import."""
    by_room: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted([*(ROOT / "stages").rglob("*.py"), *(ROOT / "privacy_report").rglob("*.py")]):
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        rooms, libraries = by_room.setdefault(here, (set(), set()))
        for name in imported(path):
            top = name.partition(".")[0]
            if top in ("privacy_report", "stages"):
                rooms |= {room(name)} - {here}
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
    return {here: names for here, names in by_room.items() if here != "privacy_report.__init__"}


def test_every_room_says_what_it_is_for():
    """Each folder of the library, and the stages; the table of what they import has three columns."""
    said = {quoted(row[0])[0] for row in cells(section("development.md", "The packages")) if len(row) == 2}
    folders = {path.parent.name for path in (ROOT / "privacy_report").glob("*/__init__.py")}
    assert said == {"stages", *(f"privacy_report.{name}" for name in folders)}


def test_import_table_is_what_the_code_imports():
    table = {
        quoted(row[0])[0]: (set(quoted(row[1])), set(quoted(row[2])))
        for row in cells(section("development.md", "The packages"))
        if len(row) == 3
    }
    expected = imports_by_room()
    lines = [
        " | ".join(", ".join(f"`{name}`" for name in sorted(names)) for names in ({here}, *both))
        for here, both in expected.items()
    ]
    assert table == expected, "the code says:\n" + "\n".join(f"| {line} |" for line in lines)
