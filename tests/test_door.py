"""Where people come in: README's audit, the notebook, the action's steps, what is released, who is cited."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from audited import arrays
from sandbox import ROOT

README = (ROOT / "README.md").read_text()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder with the command on PATH, as in an environment where the package is installed."""
    command = tmp_path / "bin/privacy-report"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m privacy_report "$@"\n')
    command.chmod(0o755)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "118")
    return tmp_path / "home"


def shell(line: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(line, shell=True, text=True, capture_output=True, env=os.environ | env, check=False)


# The README


NUMBER = re.compile(r"\d+\.\d+")


NEAR = 0.02
"""How far numbers may be off. OpenBLAS has other kernels for other processors, whose last bits make another
forest of trees; under five of them (OPENBLAS_CORETYPE) the numbers were at most 0.015 apart."""


def same(shown: str, printed: str) -> bool:
    """Whether a line is the printed one, its numbers as near as another machine may compute them."""
    head, elided, _ = shown.partition("...")
    printed = printed[: len(head)] if elided else printed.rstrip()
    apart = (float(a) - float(b) for a, b in zip(NUMBER.findall(head), NUMBER.findall(printed), strict=False))
    return NUMBER.sub("#", head) == NUMBER.sub("#", printed) and all(abs(by) <= NEAR for by in apart)


def test_the_readmes_audit_prints_what_it_says(home):
    """Its Python, then its commands: each line that is shown, in this order; "..." stands for any."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
    Path("make.py").write_text(code)
    assert shell(f'"{sys.executable}" make.py').returncode == 0
    (said,) = re.findall(r"^```console\n(.*?)^```$", README, re.M | re.S)
    commands = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", said, re.M)
    assert len(commands) == 2
    for command, shown in commands:
        done = shell(command)
        assert done.returncode == ("--gate" in command), done.stderr
        printed = iter(done.stdout.splitlines())
        for line in (line for line in shown.splitlines() if line != "..."):
            assert any(same(line, other) for other in printed), (
                f"{command} does not print: {line}\n{done.stdout}"
            )
    assert Path("page.html").exists()


# The notebook


def cells() -> list[str]:
    notebook = json.loads((ROOT / "notebooks/audit.ipynb").read_text())
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook["cells"])
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_the_notebook_runs(home):
    """Cell by cell in one process; what a notebook shows of a cell's last value is asked for, too."""
    pytest.importorskip("pandas")
    import matplotlib as mpl

    mpl.use("agg")
    scope: dict = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells():
            exec(compile(cell, "audit.ipynb", "exec"), scope)
    for name in ("found", "other"):
        assert scope[name]._repr_html_().startswith("<table>")
        assert scope[name].leaks
    assert re.findall(r"^(.+): fails; leak detected", printed.getvalue(), re.M) == ["scikit-learn", "Keras"]
    assert Path("page.html").exists()


# The action


@pytest.mark.parametrize(
    ("policy", "code", "said"),
    [
        ("default", 1, "the policy is not kept"),
        ("loose.yaml", 0, "the policy is kept"),
        ("no.yaml", 2, "not be"),
    ],
)
def test_the_action_fails_by_the_verdict_and_says_it(policy, code, said, home):
    import numpy as np

    for name in ("mine", "other"):
        np.savez(f"{name}.npz", **arrays(shift=3.0))
    Path("loose.yaml").write_text("max_advantage: 0.99\n")
    done = shell(
        f"bash {ROOT}/.ci/audit",
        FILES="mine.npz\nother.npz\n",
        POLICY=policy,
        GITHUB_STEP_SUMMARY="summary.md",
    )
    assert done.returncode == code
    summary = Path("summary.md").read_text()
    assert summary.startswith("### Privacy: ")
    assert said in summary
    assert summary.count("```") == 2
    assert ("no.yaml: cannot be read" in summary) == (code == 2)
    assert ("mine: " in summary) == ("other: " in summary) == (code < 2)
    assert Path("privacy-report/page.html").exists() == (code < 2)


def test_the_action_gives_its_script_what_it_reads_and_keeps_nothing_about_people():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = {step.get("name", "python"): step for step in action["runs"]["steps"]}
    assert action["runs"]["using"] == "composite"
    script = (ROOT / ".ci/audit").read_text()
    for name, value in steps["audit"]["env"].items():
        assert re.search(rf"\$\{{{name}:", script)
        assert value == f"${{{{ inputs.{name.lower()} }}}}"
    assert set(re.findall(r"inputs\.(\w+)", json.dumps(action))) == set(action["inputs"])
    page = (ROOT / "docs/ci.md").read_text()
    assert all(f"| `{name}` |" in page for name in action["inputs"])
    assert "examples" not in steps["keep the page"]["with"]["path"]
    assert "{{" not in script  # inputs come by the environment: no text of a user's becomes code


# Container, release, citation


def test_the_image_is_built_from_what_it_needs():
    """.dockerignore lets through what pyproject.toml reads, links included."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in let_in:
        assert (ROOT / name).exists(), name
    links = [path.resolve().relative_to(ROOT) for path in (ROOT / "privacy_report").rglob("*.yaml")]
    assert {str(path) for path in links} <= let_in
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], "pyproject.toml", "privacy_report"} <= let_in


def test_what_is_released_says_no_address_that_nobody_has():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    minors = {name.rpartition(".")[2] for name in project["project"]["classifiers"] if ":: 3.1" in name}
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert {f"3.{minor}" for minor in minors} == set(release["jobs"]["try"]["strategy"]["matrix"]["python"])
    assert "urls" not in project["project"]
    data = project["tool"]["setuptools"]["package-data"]
    for package, patterns in data.items():
        folder = ROOT / package.replace(".", "/")
        assert all(list(folder.glob(pattern)) for pattern in patterns), package


def test_the_citation_is_of_this_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["license"] == project["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in project["authors"]
    ]
    assert {"cff-version", "message", "title", "type"} <= set(citation)
