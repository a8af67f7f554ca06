"""What code a result passes through: small libraries and folders, edited one place at a time."""

from __future__ import annotations

import ast

import pytest
from pipeline.conftest import OWN, put
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline import code
from privacy_report.pipeline.code import code_of

ROOT_NAME = "privacy_report.main.run"


@pytest.fixture
def library(tmp_path, monkeypatch, forget):
    """A function that writes modules of a library in the place of ours."""
    folder = tmp_path / "privacy_report"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.setattr(code, "LIBRARY", folder)
    return lambda files: put(folder, files)


def both(text: str) -> list[str]:
    """The text before and after its edit "«old|new»"."""
    before, mark, rest = text.partition("«")
    if not mark:
        return [text, text]
    edit, _, after = rest.partition("»")
    return [before + side + after for side in edit.split("|")]


def digests(write, files: dict[str, str], root: str = ROOT_NAME) -> list[str]:
    """The code's digest before and after an edit."""
    hashes = []
    for side in (0, 1):
        write({name: both(text)[side] for name, text in files.items()})
        hashes.append(code_of(root).digest())
    return hashes


OTHER = "def f():\n    return «1|2»"
MOVES = {
    "its own body": {"main": "def run():\n    return «1|2»"},
    "a name that nobody reads": {"main": "X = «1|2»\ndef run():\n    return 1"},
    "an error's text": {"main": "def run():\n    raise ValueError('«one|two»')"},
    "the order of statements": {"main": "«A = 1\nB = 2|B = 2\nA = 1»"},
    "an import at the top": {"main": "from privacy_report.other import f", "other": OTHER},
    "an import within a function": {
        "main": "def run():\n    import privacy_report.other as o",
        "other": OTHER,
    },
    "an import for type checkers": {
        "main": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import privacy_report.other as o",
        "other": OTHER,
    },
    "either import of a pair": {
        "main": "try:\n    import nothing\nexcept ImportError:\n    from privacy_report import other as o",
        "other": OTHER,
    },
    "an import of everything": {"main": "from privacy_report.other import *", "other": OTHER},
    "a dotted name in a table": {"main": "ALL = {'a': 'privacy_report.other.f'}", "other": OTHER},
    "a dotted name as a default": {"main": "def run(path='privacy_report.other.f'): ...", "other": OTHER},
    "two imports away": {
        "main": "from privacy_report import one",
        "one": "def f():\n    from privacy_report.other import f",
        "other": OTHER,
    },
    "a package's __init__": {
        "main": "from privacy_report.deep.other import f",
        "deep/__init__": "X = «1|2»",
        "deep/other": "def f(): ...",
    },
    "what a package's __init__ hands on": {
        "main": "from privacy_report.deep import f",
        "deep/__init__": "from privacy_report.other import f",
        "other": OTHER,
    },
    "two modules that import each other": {
        "main": "from privacy_report import other",
        "other": "from privacy_report import main\nX = «1|2»",
    },
    "a module swapped by its name in a string": {
        "main": "import sys\ndef run():\n    return getattr(sys.modules['privacy_report.other'], 'f')",
        "other": OTHER,
    },
}
"""Case -> a library with one edit: what the closure over modules must see."""

STAYS = {
    "a comment": {"main": "def run():\n    return 1  «# one|# another»"},
    "a module's docstring": {"main": '"""«One|Another»."""\nX = 1'},
    "a docstring": {"main": 'def run():\n    """«One|Another»."""\n    return 1'},
    "a docstring added": {"main": 'def run():\n    «|"""One."""»\n    return 1'},
    "a class of a docstring alone": {"main": 'class C:\n    «"""One."""|pass»'},
    "an attribute's docstring": {"main": 'X = 1\n"""«One|Another»."""'},
    "formatting": {"main": "def run(x):\n    return «x + 1|(x\n            + 1)»"},
    "the way a number is written": {"main": "X = «1e-3|0.001»"},
    "quotes": {"main": "X = «'a'|\"a\"»"},
    "a module that nobody imports": {"main": "X = 1", "other": OTHER},
    "a name in a sentence": {"main": "X = 'see privacy_report.other.f for more'", "other": OTHER},
}
"""Case -> a library with one edit that cannot change what it does."""


@pytest.mark.parametrize("case", MOVES)
def test_an_edit_in_the_closure_moves_the_digest(case, library):
    before, after = digests(library, MOVES[case])
    assert before != after


@pytest.mark.parametrize("case", STAYS)
def test_an_edit_that_cannot_change_the_result_leaves_the_digest(case, library):
    before, after = digests(library, STAYS[case])
    assert before == after


def test_roots_count_each_in_any_order_and_a_root_may_be_a_module_or_what_is_in_it(library):
    library({"main": "X = 1", "other": "X = 2"})
    main, other = (f"privacy_report.{name}" for name in ("main", "other"))
    assert code_of(main, other).digest() == code_of(other, main).digest()
    assert len({code_of(*roots).digest() for roots in ([main, other], [main], [other])}) == 3
    assert code_of(main).digest() == code_of(f"{main}.X").digest()


def test_what_hands_over_counts_alone(library):
    library({"main": "X = 1", "hand": "from privacy_report import other", "other": "X = 1"})

    def found():
        return code_of(ROOT_NAME, hands=["privacy_report.hand"]).digest()

    before = found()
    library({"other": "X = 2"})
    assert found() == before
    library({"hand": "from privacy_report import other\nX = 1"})
    assert found() != before


def test_a_hand_that_is_in_the_closure_is_followed_all_the_same(library):
    library(
        {"main": "from privacy_report import hand", "hand": "from privacy_report import other", "other": ""}
    )
    assert "privacy_report.other" in code_of(ROOT_NAME, hands=["privacy_report.hand"]).modules


DOOR = "X = 1\ndef __getattr__(name):\n    «from privacy_report.users import audit|return name»"


def test_what_the_package_has_for_users_is_in_no_key(library):
    """It runs when a name is asked for, which is refused below; passing through the package runs the rest."""
    files = {"main": "from privacy_report import other", "other": "X = 1", "users": "def audit(): ..."}
    before, after = digests(library, files | {"__init__": DOOR})
    assert before == after
    assert "privacy_report.users" not in code_of(ROOT_NAME).modules
    library({"__init__": both(DOOR)[0].replace("X = 1", "X = 2")})
    assert code_of(ROOT_NAME).digest() != before


@pytest.mark.parametrize("head", ["@users.f\ndef __getattr__(name)", "def __getattr__(name=users.f())"])
def test_what_runs_as_the_package_is_imported_is_in_every_key(head, library):
    door = f"from privacy_report import users\n{head}: «return 1|return 2»"
    before, after = digests(library, {"main": "X = 1", "users": "X = 1", "__init__": door})
    assert before != after
    assert "privacy_report.users" in code_of(ROOT_NAME).modules


ASKS = (
    "import privacy_report as pr\npr.audit",
    "import privacy_report.other\nprivacy_report.audit",
    "from privacy_report import audit",
    "from privacy_report import other, audit as a",
    "from privacy_report import *",
    "def run():\n    import privacy_report",
    "CHOSEN = 'privacy_report.audit'",
)


@pytest.mark.parametrize("text", ASKS)
def test_code_of_a_key_asks_the_package_for_nothing(text, library, beside):
    library({"main": text, "other": "X = 1", "__init__": both(DOOR)[0]})
    with pytest.raises(UserError, match=r"allowed: from privacy_report\.MODULE import NAME") as error:
        code_of(ROOT_NAME)
    assert "\n" not in str(error.value)
    put(beside / OWN, {"a": text})
    library({"main": "X = 1"})
    with pytest.raises(UserError, match=r"allowed: from privacy_report\.MODULE import NAME"):
        code_of(ROOT_NAME, chosen=[f"{OWN}.a.net"])


def test_nothing_is_imported_or_run(library):
    library({"main": "raise SystemExit"})
    assert set(code_of(ROOT_NAME).modules) == {"privacy_report", "privacy_report.main"}


def test_an_edited_module_is_read_again_in_the_same_process(library):
    hashes = []
    for number in (1, 20, 1):
        library({"main": f"X = {number}"})
        hashes.append(code_of(ROOT_NAME).digest())
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def run(:", r"main\.py: no Python \(invalid syntax"),
        ("X = '\0'", r"main\.py: no Python"),
        ("from . import other", r"privacy_report\.main: a relative import, allowed: absolute ones"),
        ("from .other import f", r"privacy_report\.main: a relative import"),
    ],
)
def test_what_cannot_be_followed_is_one_line(text, words, library):
    library({"main": text})
    with pytest.raises(UserError, match=words) as error:
        code_of(ROOT_NAME)
    assert "\n" not in str(error.value)


def test_a_chosen_module_that_does_not_exist_is_one_line():
    with pytest.raises(UserError, match=r"no module 'no_such_nets': is it installed, or next to dvc\.yaml"):
        code_of(chosen=["no_such_nets.net"])


def test_libraries_are_those_of_all_imports_with_their_versions_and_pythons(library):
    library(
        {"main": "import numpy\nimport json\ndef f():\n    from sklearn import svm\n    import yaml.nodes"}
    )
    closure = code_of(ROOT_NAME)
    assert closure.libraries >= {"numpy", "sklearn", "yaml"}
    assert set(closure.versions()) == {"Python", "numpy", "sklearn", "yaml"}


def test_the_library_names_no_module_by_a_text_that_is_put_together():
    """The closure follows whole dotted names; a name in pieces would hide a module."""
    pieces = []
    for path in (ROOT / "privacy_report").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else ()
            sides = [node.left] if isinstance(node, ast.BinOp) else []
            for operand in (*parts, *sides):
                text = operand.value if isinstance(operand, ast.Constant) else ""
                if isinstance(text, str) and text.startswith("privacy_report."):
                    pieces.append(f"{path.name}: {text}")
    assert pieces == ["__main__.py: privacy_report.commands."], "the command line, which no key holds"
