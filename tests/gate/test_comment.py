"""The comment on a pull request, and the workflow that writes it, its shell steps executed."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from sandbox import ROOT, Sandbox

from privacy_report.errors import UserError
from privacy_report.gate.comment import COLUMNS, comment, metrics_at, metrics_here
from privacy_report.gate.words import AUDITED

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/report.yml").read_text())
KEEPS = {
    "verdict": "passes",
    "leak": "no",
    "epoch": 2,
    "advantage": 0.51,
}
BREAKS = {"verdict": "fails", "leak": "yes", "epoch": 4, "advantage": 0.71}


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]


def test_changed_verdicts_come_first_and_what_differs_is_bold():
    before = {"same": KEEPS, "worse": KEEPS, "drift": KEEPS, "gone": BREAKS}
    after = {
        "same": KEEPS,
        "worse": BREAKS,
        "drift": KEEPS | {"advantage": 0.52, "epsilon": 8.0},
        "new_": KEEPS,
    }
    text = comment(before, after, "https://example.org/sha")
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- **worse: passes → fails**",
        "- **new\\_: no such variant → passes**",
        "- **gone: fails → no such variant**",
    ]
    head, _, *body = rows(text)
    assert head[2:] == list(COLUMNS.values())
    assert len(COLUMNS) == 8
    assert [row[0] for row in body if row[0]] == ["worse", "new\\_", "gone", "same", "drift"]
    advantage = head.index("advantage")
    assert [(row[1], row[advantage]) for row in body[:2]] == [("before", "0.51"), ("after", "**0.71**")]
    assert [(row[1], row[advantage]) for row in body if row[0] == "same"] == [("unchanged", "0.51")]
    last = body[-1]
    assert (last[2], last[advantage], last[head.index("ε claimed")]) == ("passes", "**0.52**", "**8**")
    assert "(https://example.org/sha/plots/overview.png)" in text
    assert "No verdict changes." in comment(before, before, "")


def test_against_whom_an_audited_epsilon_holds_is_said_where_there_is_one():
    audited = {"a": KEEPS | {"eps_audited": 2.4}}
    assert AUDITED in comment({"a": KEEPS}, audited, "")
    assert AUDITED in comment(audited, {"a": KEEPS}, "")
    assert AUDITED not in comment({"a": KEEPS}, {"a": KEEPS}, "")


def test_a_removed_variant_that_left_its_metrics_is_gone(tmp_path, monkeypatch):
    """Its file may still be in the working tree, and in a commit next to params.yaml without it."""
    made = Sandbox(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.run("git", "init", "--quiet", "--initial-branch=main")
    (tmp_path / "metrics").mkdir()
    for name in ("one", "old"):
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(KEEPS))
    (tmp_path / "params.yaml").write_text("variants: {one: {}, old: {}}\n")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=both")
    (tmp_path / "params.yaml").write_text("variants: {one: {}}\n")
    assert (metrics_at("HEAD"), metrics_here()) == ({"old": KEEPS, "one": KEEPS}, {"one": KEEPS})
    assert "**old: passes → no such variant**" in comment(metrics_at("HEAD"), metrics_here(), "")
    made.run("git", "commit", "--quiet", "--all", "--message=one")
    assert metrics_at("HEAD") == {"one": KEEPS}
    made.run("git", "rm", "--quiet", "params.yaml")
    made.run("git", "commit", "--quiet", "--message=none")
    assert metrics_at("HEAD") == {}


@pytest.mark.parametrize(
    ("params", "metrics"),
    [("variants: [", json.dumps(KEEPS)), ("{}", json.dumps(KEEPS)), ("variants: {one: {}}", '{"verdict"')],
)
def test_a_damaged_revision_is_one_line(params, metrics, tmp_path, monkeypatch):
    made = Sandbox(tmp_path)
    monkeypatch.chdir(tmp_path)
    made.run("git", "init", "--quiet", "--initial-branch=main")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/one.json").write_text(metrics)
    (tmp_path / "params.yaml").write_text(params)
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message=damaged")
    with pytest.raises(UserError, match=r"^HEAD: its params\.yaml or a file in metrics is damaged$"):
        metrics_at("HEAD")


def test_an_unknown_revision_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^git ls-tree: [^\n]*$"):
        metrics_at("nowhere")


SMALL = """
stages:
  gate:
    cmd: mkdir -p metrics && cp verdict.json metrics/one.json
    deps: [verdict.json]
    metrics: [metrics/one.json: {cache: false}]
"""


@pytest.fixture(scope="module")
def request_(tmp_path_factory) -> Sandbox:
    """A checked-out pull request that turns a verdict, in a clone without data; BASE is main."""
    made = Sandbox(tmp_path_factory.mktemp("request") / "clone")
    made.root.mkdir()
    (made.root / "dvc.yaml").write_text(SMALL)
    (made.root / "params.yaml").write_text("variants: {one: {}}\n")
    made.run("git", "init", "--quiet", "--initial-branch=main")
    made.dvc("init", "--quiet")
    for branch, metrics in (("main", KEEPS), ("feature", BREAKS)):
        if branch != "main":
            made.run("git", "switch", "--quiet", "--create", branch)
        (made.root / "verdict.json").write_text(json.dumps(metrics))
        made.repro()
        made.run("git", "add", "--all")
        made.run("git", "commit", "--quiet", "--message", branch)
    (made.root / ".venv").symlink_to(sys.prefix)
    return made


def step(name: str) -> str:
    """The shell of a step of the workflow."""
    return next(entry["run"] for entry in WORKFLOW["jobs"]["comment"]["steps"] if entry.get("name") == name)


def execute(request_: Sandbox, name: str) -> subprocess.CompletedProcess[str]:
    """A step's shell as the runner executes it."""
    env = os.environ | {"BASE": "main", "RAW": "https://example.org/sha", "PYTHONPATH": str(ROOT)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)]
    return subprocess.run(command, cwd=request_.root, env=env, capture_output=True, text=True, check=False)


@pytest.mark.pipeline
def test_the_workflows_steps(request_):
    done = execute(request_, "write the comment")
    assert done.returncode == 0, done.stderr
    text = (request_.root / "comment.md").read_text()
    assert "- **one: passes → fails**" in text
    done = execute(request_, "the gate")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "one: fails; leak detected at epoch 4 (metrics/one.json)\n"
    (request_.root / "metrics/one.json").write_text(json.dumps(KEEPS))  # by hand
    done = execute(request_, "the gate")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the verdicts do not belong to the code, data and parameters")
