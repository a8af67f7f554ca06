"""The digest of the code that a computation reaches: small packages, edited one place at a time."""

from __future__ import annotations

import json

import pytest
from source_cases import MOVES, STAYS

from privacy_report.errors import UserError
from privacy_report.pipeline import source, syntax


@pytest.fixture
def package(tmp_path, read_from):
    """Write a package "pkg" (and other top-level files); gives a function from roots to their code."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(path.name.replace("INIT", "__init__")).write_text(text)
        (tmp_path / "pkg").mkdir(exist_ok=True)
        (tmp_path / "pkg/__init__.py").touch()
        read_from(tmp_path)

    return write


def digest(*roots):
    return source.code(*(roots or ("pkg.main.run",))).digest


def versions_of(files):
    """The files with the old texts and with the new ones."""
    sides = []
    for side in (0, 1):
        texts = {}
        for name, text in files.items():
            before, mark, rest = text.partition("«")
            if mark:
                edit, _, after = rest.partition("»")
                text = before + edit.split("|")[side] + after
            texts[name] = text
        sides.append(texts)
    assert sides[0] != sides[1]
    return sides


@pytest.mark.parametrize("case", MOVES)
def test_an_edit_that_may_change_the_result_moves_the_digest(case, package):
    found = []
    for files in versions_of(MOVES[case]):
        package(**files)
        found.append(digest())
    assert found[0] != found[1]


@pytest.mark.parametrize("case", STAYS)
def test_an_edit_that_cannot_change_the_result_leaves_the_digest(case, package):
    found = []
    for files in versions_of(STAYS[case]):
        package(**files)
        found.append(digest())
    assert found[0] == found[1]


def test_roots_count_each_and_in_any_order(package):
    package(pkg__main="def run():\n    return 1\ndef other():\n    return 2")
    both = digest("pkg.main.run", "pkg.main.other")
    assert both == digest("pkg.main.other", "pkg.main.run")
    assert len({both, digest("pkg.main.run"), digest("pkg.main.other")}) == 3


def test_a_root_may_be_a_class_or_a_method_of_one(package):
    package(pkg__main="class C:\n    def m(self):\n        return 1")
    assert digest("pkg.main.C") == digest("pkg.main.C.m")


def test_libraries_are_those_of_the_reached_code(package):
    package(
        pkg__main="import numpy as np\nimport scipy.stats\nfrom pkg import other\n"
        "def run():\n    return np.zeros(3), other.f()\ndef idle():\n    return scipy.stats.norm",
        pkg__other="import json\n\ndef f():\n    import yaml\n    return yaml, json",
    )
    assert source.code("pkg.main.run").libraries == {"numpy", "yaml"}
    assert source.code("pkg.main.idle").libraries == {"scipy"}
    found = source.versions({"numpy", "yaml"})
    assert set(found) == {"Python", "numpy", "PyYAML"}


def test_a_library_handed_on_by_a_module_of_ours_is_a_library(package):
    package(
        pkg__main="from pkg.setup import np\ndef run():\n    return np.zeros(3)",
        pkg__setup="import numpy as np",
    )
    assert source.code("pkg.main.run").libraries == {"numpy"}


def test_nothing_is_imported_or_run(package):
    package(pkg__main="raise SystemExit\ndef run():\n    return 1")
    assert digest()


@pytest.mark.parametrize(
    ("files", "root", "words"),
    [
        ({"pkg__main": "def run(:"}, "pkg.main.run", r"main\.py: no Python \(invalid syntax"),
        ({"pkg__main": "X = '\0'"}, "pkg.main.run", r"main\.py: no Python"),
        ({"pkg__main": "X = 1"}, "pkg.main.run", r"pkg\.main has no 'run', allowed: X"),
        ({"pkg__main": "X = 1"}, "pkg.other.run", r"pkg has no 'other'"),
        ({"pkg__main": "X = 1"}, "nowhere.main.run", r"no module 'nowhere'"),
        (
            {"pkg__main": "from pkg.other import f\ndef run():\n    f()"},
            "pkg.main.run",
            r"pkg has no 'other'",
        ),
        (
            {"pkg__main": "from pkg.other import *\ndef run():\n    f()", "pkg__other": "f = print"},
            "pkg.main.run",
            r"pkg\.main: `from pkg\.other import \*` hides what is used",
        ),
    ],
)
def test_what_cannot_be_followed_is_one_line(files, root, words, package):
    package(**files)
    with pytest.raises(UserError, match=words) as error:
        digest(root)
    assert "\n" not in str(error.value)


def test_an_edited_file_is_read_again_in_the_same_process(package, tmp_path):
    package(pkg__main="def run():\n    return 1")
    before = digest()
    (tmp_path / "pkg/main.py").write_text("def run():\n    return 1 + 1")
    assert digest() != before
    (tmp_path / "pkg/main.py").write_text("def run():\n    return 1")
    assert digest() == before


def test_a_file_is_parsed_once(package):
    package(pkg__main="def run():\n    return 1")
    for _ in range(3):
        digest()
    assert syntax.parse.cache_info().misses == 2  # main and __init__


def test_a_package_installed_as_a_link_is_followed_and_another_is_not(tmp_path, monkeypatch, read_from):
    """Its source changes under one version; direct_url.json says so (PEP 660, 610)."""
    (tmp_path / "linked_nets.py").write_text("def net():\n    return 1\n")
    about = tmp_path / "linked_nets-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: linked_nets\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for editable in (True, False):
        url = {"url": "file:///nets", "dir_info": {"editable": editable}}
        (about / "direct_url.json").write_text(json.dumps(url))
        source._distributions.cache_clear()
        read_from(tmp_path)
        found.append(source.code("privacy_report.errors.UserError", chosen=["linked_nets.net"]))
        assert source.file_of("linked_nets.net") is None
    linked, copied = found
    assert linked.digest != copied.digest
    assert "linked_nets" in copied.libraries - linked.libraries
    source._distributions.cache_clear()


def test_a_users_own_module_has_a_file_and_what_is_missing_is_one_line(tmp_path, read_from):
    (tmp_path / "my_nets.py").write_text("def net():\n    return 1\n")
    read_from(tmp_path)
    assert source.file_of("my_nets.net") == tmp_path / "my_nets.py"
    assert source.file_of("keras.optimizers.Adam") is None
    with pytest.raises(UserError, match="no module 'no_such_nets': is it installed, or next to"):
        source.file_of("no_such_nets.net")
