"""Code that is not this library's: a user's own, by every byte, and what is installed, by its version."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from pipeline.conftest import OWN, put
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline import code
from privacy_report.pipeline.code import code_of, own_folder
from privacy_report.pipeline.digests import file_digest


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a/b.py", "X = 1", "X = 2"),
        ("a/b.py", "X = 1", "X = 1  # the file may read itself"),
        ("a/c.py", "X = 1", "X = 2"),
        ("__init__.py", "", "X = 1"),
        ("widths.json", "[1, 2]", "[2, 1]"),
        ("deep/weights.npz", b"\0\1", b"\0\2"),
        ("late.py", None, "X = 1"),
    ],
)
def test_every_byte_of_every_file_of_a_users_own_folder_counts(name, old, new, beside):
    put(beside / OWN, {"__init__": "", "a/b": "X = 1", "a/c": "X = 1"})
    if old is not None:
        put(beside / OWN, {name: old})
    before = code_of(chosen=[f"{OWN}.a.b.net"]).digest()
    put(beside / OWN, {name: new})
    assert code_of(chosen=[f"{OWN}.a.b.net"]).digest() != before


def test_what_python_compiles_does_not_count(beside):
    put(beside / OWN, {"__init__": "", "__pycache__/a.pyc": b"1"})
    assert set(code_of(chosen=[f"{OWN}.X"]).own) == {f"{OWN}/__init__.py"}


def test_a_lone_file_is_a_module(beside):
    put(beside, {OWN: "X = 1"})
    assert set(code_of(chosen=[f"{OWN}.X"]).own) == {f"{OWN}.py"}
    assert own_folder(f"{OWN}.X") == beside / f"{OWN}.py"


def test_own_code_brings_what_it_imports_of_ours_of_libraries_and_of_other_folders(beside):
    imports = "from privacy_report import errors\nimport yaml\nimport more_of_a_test"
    put(beside, {f"{OWN}/a": imports, "more_of_a_test": "X = 1"})
    closure = code_of(chosen=[f"{OWN}.a.net"])
    assert set(closure.own) == {f"{OWN}/a.py", "more_of_a_test.py"}
    assert "privacy_report.errors" in closure.modules
    assert "yaml" in closure.libraries
    assert closure.files >= {beside / "more_of_a_test.py", ROOT / "privacy_report/errors.py"}


def test_a_folder_that_has_a_librarys_name_is_a_users_own(beside, monkeypatch):
    """The one next to dvc.yaml is imported, whatever is installed or comes with Python."""
    put(beside, {"threadpoolctl/__init__": "", "this/__init__": ""})
    for top in ("threadpoolctl", "this"):
        monkeypatch.delitem(sys.modules, top, raising=False)
        assert set(code_of(chosen=[f"{top}.a.X"]).own) == {f"{top}/__init__.py"}
        assert own_folder(f"{top}.a.X") == beside / top


@pytest.mark.parametrize("path", ["json.loads", "keras.optimizers.Adam", "no_such_nets.net", "os.path.join"])
def test_what_is_installed_or_pythons_own_is_in_no_users_folder(path):
    assert own_folder(path) is None


@pytest.mark.parametrize("target", ["folder", "file.py"])
def test_links_whose_targets_dvc_does_not_watch_are_refused(target, beside):
    put(beside, {"folder/a": "X = 1", "file": "X = 1", f"{OWN}/__init__": ""})
    (beside / OWN / "link").symlink_to(beside / target)
    with pytest.raises(UserError, match="link: a link, allowed: files and folders"):
        code_of(chosen=[f"{OWN}.net"])


def installed(folder: Path, name: str, file: str, **url: str) -> None:
    """A distribution as pip leaves it: METADATA, RECORD, and direct_url.json (PEP 610) where it has one."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"{file},sha256={file_digest(folder / file)},1\n")
    if url:
        (about / "direct_url.json").write_text(json.dumps(url))
    importlib.invalidate_caches()


def test_an_installed_package_counts_by_version_and_an_editable_one_by_its_bytes(
    beside, tmp_path, monkeypatch
):
    put(beside / OWN, {"__init__": "X = 1"})
    installed(beside, "nets_of_a_test", f"{OWN}/__init__.py")
    copied = code_of(chosen=[f"{OWN}.X"])
    assert not copied.own
    assert copied.versions()[OWN] == "1.0"
    # an editable package's files lie where no distribution keeps what it installed
    other = tmp_path / "site"
    other.mkdir()
    (beside / "nets_of_a_test-1.0.dist-info").rename(other / "nets_of_a_test-1.0.dist-info")
    monkeypatch.syspath_prepend(str(other))
    code._providers.cache_clear()
    importlib.invalidate_caches()
    assert set(code_of(chosen=[f"{OWN}.X"]).own) == {f"{OWN}/__init__.py"}
    assert own_folder(f"{OWN}.X") == beside / OWN


def test_a_package_installed_from_a_folder_counts_by_its_files_under_one_version(beside):
    versions = []
    for text in ("X = 1", "X = 1000"):
        put(beside / OWN, {"__init__": text})
        installed(beside, "nets_of_a_test", f"{OWN}/__init__.py", url="file:///nets")
        code._version.cache_clear()
        versions.append(code_of(chosen=[f"{OWN}.X"]).versions()[OWN])
    assert versions[0] != versions[1]
    assert all(version.startswith("1.0 ") for version in versions)


def test_of_a_package_in_two_folders_the_file_that_is_imported_counts(beside, tmp_path, monkeypatch):
    for folder, text in ((beside, "X = 1"), (tmp_path / "second", "X = 2")):
        put(folder / OWN, {"a": text})
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(beside))
    closure = code_of(chosen=[f"{OWN}.a.X"])
    assert closure.own == {f"{OWN}/a.py": beside / OWN / "a.py"}


def test_what_a_loaded_module_does_to_its_path_is_not_followed(forget):
    """TensorFlow adds a folder of its own to its path, in which no distribution is installed."""
    import tensorflow

    assert len(tensorflow.__spec__.submodule_search_locations) > 1
    closure = code_of(chosen=["tensorflow"])
    assert (closure.libraries, closure.own) == (frozenset(["tensorflow"]), {})
