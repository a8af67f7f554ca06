"""Verdicts that belong to other code, data or parameters are refused, in a clone without data, too."""

import subprocess

import pytest
from sandbox import Sandbox, environment

pytestmark = pytest.mark.pipeline

SMALL = """
stages:
  gate:
    cmd: cp code.py verdict
    deps: [code.py, data]
    params: [limit]
    metrics: [verdict: {cache: false}]
"""


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Sandbox:
    """A tiny project whose stage `gate` has run, committed."""
    origin = Sandbox(tmp_path_factory.mktemp("stale") / "origin")
    (origin.root).mkdir()
    for name, text in {"dvc.yaml": SMALL, "code.py": "1", "params.yaml": "limit: 1\n"}.items():
        (origin.root / name).write_text(text)
    origin.run("git", "init", "--quiet")
    origin.dvc("init", "--quiet")
    (origin.root / "data").write_text("numbers")
    origin.dvc("add", "--quiet", "data")
    origin.repro()
    origin.run("git", "add", "--all")
    origin.run("git", "commit", "--quiet", "--message=run")
    return origin


@pytest.fixture
def project(committed, tmp_path) -> Sandbox:
    """Its clone, without DVC's cache."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", committed.root, clone], env=environment(), check=True)
    assert not (clone / "data").exists()
    return Sandbox(clone)


def refused(project: Sandbox, monkeypatch) -> str:
    """What the check says, empty where it lets the verdicts pass."""
    from privacy_report.errors import UserError
    from privacy_report.gate.check import refuse_stale

    monkeypatch.chdir(project.root)
    try:
        refuse_stale()
    except UserError as error:
        return str(error)
    return ""


def test_verdicts_of_what_is_here_are_let_pass(project, monkeypatch):
    assert refused(project, monkeypatch) == ""


@pytest.mark.parametrize(
    ("path", "text"),
    [("code.py", "2"), ("params.yaml", "limit: 2\n"), ("verdict", "0"), ("data", "others")],
    ids=["code", "parameters", "verdict", "data"],
)
def test_others_are_refused(project, monkeypatch, path, text):
    (project.root / path).write_text(text)
    said = refused(project, monkeypatch)
    assert said.startswith("the verdicts do not belong to the code, data and parameters that are here: gate")
    assert "\n" not in said


def test_where_dvc_cannot_tell_there_is_no_verdict(tmp_path, monkeypatch):
    said = refused(Sandbox(tmp_path), monkeypatch)
    assert said.startswith("whether verdicts are up to date cannot be told")
    assert "\n" not in said
