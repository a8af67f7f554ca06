"""The README's walk-through and docs/experiments.md, line by line, as typed in a quickstart's folder."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from sandbox import ROOT, Sandbox, environment, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

COLUMNS = 120


def typed(page: str, heading: str) -> list[str]:
    """The lines of the shell blocks under a page's heading, without their comments."""
    section = re.split(r"^## (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)
    text = section[section.index(heading) + 1]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines()]


@dataclass
class Shell:
    """A shell on a terminal of 120 columns, in the folder that holds quickstart/, and what each line said."""

    home: Path
    entered: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)

    def type(self, line: str) -> None:
        if line.split()[0] in ("source", "cd"):
            self.entered.append(line)
            return
        screen, process = self.start(line)
        read = b""
        while True:
            try:
                chunk = os.read(screen, 65536)
            except OSError:  # Linux's way of saying that the other end is closed
                break
            if not chunk:
                break
            read += chunk
        os.close(screen)
        text = re.sub(r"\x1b(\[[0-?]*[a-zA-Z]|[=>])", "", read.decode())
        self.said[line] = "\n".join(row.rpartition("\r")[2].rstrip() for row in text.split("\r\n"))
        assert process.wait() == 0, f"{line}\n{self.said[line]}"

    def start(self, line: str) -> tuple[int, subprocess.Popen]:
        screen, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 500, COLUMNS, 0, 0))
        script = "\n".join(["set -e", *self.entered, line])
        env = environment() | {"TERM": "xterm", "HOME": str(self.home)}
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=self.home, env=env, stdin=end, stdout=end, stderr=end
        )
        os.close(end)
        return screen, process

    def rows(self, line: str) -> list[str]:
        """What a line said: its rows with text, each number as #, columns two spaces apart."""
        rows = [
            re.sub(r"(?<![\w.-])-?\d[\d.]*(e-\d+)?(?!\S)", "#", row) for row in self.said[line].splitlines()
        ]
        return [re.sub(r" {2,}", "  ", row.strip()) for row in rows if re.search(r"\w", row)]


@dataclass
class Walk(Shell):
    """The walk-through, and what could be seen while its first `dvc repro` ran."""

    repro: str = ""
    watched_page: str = ""
    still_running: bool = False

    @property
    def quickstart(self) -> Sandbox:
        return Sandbox(self.home / "quickstart")

    def watch(self) -> None:
        """Type `dvc repro`, and in another terminal, after its training, the line that draws the history."""
        log = self.home / "repro"
        with open(log, "w") as file:
            script = "\n".join([*self.entered, "dvc repro"])
            process = subprocess.Popen(
                ["bash", "-ec", script], cwd=self.home, env=environment(), stdout=file, stderr=file
            )
            while "Running stage 'score@cnn3'" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            (line,) = typed("docs/experiments.md", "Watch a run")
            self.type(line)
            self.still_running = process.poll() is None
            self.watched_page = (self.quickstart.root / "dvc_plots/index.html").read_text()
            assert process.wait() == 0, log.read_text()
        self.repro = log.read_text()


@pytest.fixture(scope="module")
def walk(_finished: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """All lines of both pages, typed one after the other; a line that fails fails all tests."""
    home = tmp_path_factory.mktemp("walk")
    _finished.copy(home / "quickstart")
    (home / ".venv/bin").mkdir(parents=True)
    (home / ".venv/bin/activate").touch()  # the tests' own environment is on PATH
    walk = Walk(home)
    offline(walk.quickstart)
    for line in typed("README.md", "Change a hyperparameter and see what it does"):
        if line == "dvc repro":
            walk.watch()
        else:
            walk.type(line)
    for heading in ("Take an experiment back", "Try several values", "Keep one", "Share results"):
        for line in typed("docs/experiments.md", heading):
            walk.type(line)
    return walk


def offline(sandbox: Sandbox) -> None:
    """Let `dvc plots` write pages without a network, as `make install` does."""
    sandbox.python("-m", "privacy_report.report.offline", ".dvc/tmp/offline.html")
    sandbox.dvc("config", "--local", "plots.html_template", "tmp/offline.html")


STAGES = ("canaries", "train", "score", "reference", "attack", "ship")
GATES = [f"gate@{name}" for name in ("cnn2", "cnn3", "cnn3_dp")]  # another's canaries may be its own
OF_CNN3 = {"fit", *(f"{stage}@cnn3" for stage in STAGES), *GATES, "report"}
"""What a hyperparameter of cnn3 reruns."""


def test_one_value_reruns_its_variant(walk: Walk):
    assert set(ran(walk.repro)) == {"compose", *OF_CNN3}
    params = yaml.safe_load(walk.quickstart.run("git", "show", "faster~2:params.yaml").stdout)
    assert params["variants"]["cnn3"]["learning_rate"] == 0.002
    assert "page: plots/report.html" in walk.repro


def test_one_value_as_an_experiment_reruns_its_variant(walk: Walk):
    (line,) = (line for line in walk.said if line.startswith("dvc exp run -S"))
    assert {*ran(walk.said[line])} - {"compose"} == OF_CNN3
    assert re.search(r"learning_rate +0\.002 +0\.0005", walk.said["dvc exp diff"])


def test_the_history_can_be_drawn_while_the_pipeline_runs(walk: Walk):
    assert walk.still_running
    (values,) = re.findall(r'"data": \{"values": (\[.*?\])\}', walk.watched_page)[:1]
    assert {row["variant"] for row in json.loads(values)} == {"cnn3"}
    assert re.search(
        r"train@cnn3: epochs: 2/2, 0 s left, loss [\d.]+, validation accuracy [\d.]+", walk.repro
    )


def test_metrics_diff_is_a_few_rows_about_the_variant(walk: Walk):
    assert walk.rows("dvc metrics diff main") == [
        "Path  Metric  main  workspace  Change",
        "metrics/cnn3.json  advantage  #  #  #",
        "metrics/cnn3.json  tpr_1pct  #  #  #",
        "metrics/cnn3.json  val_acc  #  #  #",
    ]
    assert max(map(len, walk.said["dvc metrics diff main"].splitlines())) <= COLUMNS


def test_metrics_show_is_a_row_a_variant(walk: Walk):
    shell = Shell(walk.home, ["cd quickstart"])
    shell.type("dvc metrics show")
    head, *rows = shell.rows("dvc metrics show")
    assert head.split()[0] == "Path"
    assert [row.split()[0] for row in rows] == [
        f"metrics/{name}.json" for name in ("cnn2", "cnn3", "cnn3_dp")
    ]
    assert {"advantage", "val_acc", "verdict"} <= set(head.split())


def test_exp_diff_says_what_was_set_and_what_it_changed(walk: Walk):
    rows = walk.rows("dvc exp diff")
    assert rows[0] == "Path  Metric  HEAD  workspace  Change"
    assert "metrics/cnn3.json  advantage  #  #  #" in rows
    assert rows[-2:] == [
        "Path  Param  HEAD  workspace  Change",
        "params.yaml  variants.cnn3.learning_rate  #  #  #",
    ]


def test_exp_show_fits_a_terminal(walk: Walk):
    (line,) = (line for line in walk.said if line.startswith("dvc exp show"))
    assert max(map(len, walk.said[line].splitlines())) <= COLUMNS
    rows = [re.sub(r"(#|[0-9a-f]{7}) \[", "[", row) for row in walk.rows(line)]  # no commits
    assert rows[:5] == [
        "Experiment  metrics/cnn3.json:advantage  metrics/cnn3.json:val_acc  variants.cnn3.learning_rate",
        "faster  #  #  #",
        "├── [sweep-3]  #  #  #",
        "├── [sweep-2]  #  #  #",
        "├── [sweep-1]  #  #  #",
    ]
    assert re.fullmatch(r"└── \[\w+-\w+\]  #  #  #", rows[5])  # of the README's `dvc exp run`
    assert len(rows) == 6


def test_a_sweep_runs_each_value_once(walk: Walk):
    said = walk.said["dvc exp run --run-all"]
    assert [said.count(f"Reproducing experiment 'sweep-{i}'") for i in (1, 2, 3)] == [1, 1, 1]
    rows = walk.rows("dvc exp diff sweep-1 sweep-3")
    assert rows[0] == "Path  Metric  sweep-1  sweep-3  Change"
    assert rows[-1] == "params.yaml  variants.cnn3.learning_rate  #  #  #"


def test_an_applied_experiment_is_complete(walk: Walk):
    """conf/ says what params.yaml says, so nothing is left to run."""
    assert ran(walk.said["dvc repro"]) == []
    assert "learning_rate: 0.0005" in (walk.quickstart.root / "conf/overrides.yaml").read_text()
    assert walk.quickstart.run("git", "status", "--porcelain").stdout == ""
    overrides = walk.quickstart.run("git", "show", "slower:conf/overrides.yaml").stdout
    assert "learning_rate: 0.001" in overrides


def test_one_changed_value_makes_a_light_commit(walk: Walk):
    for commit in ("main..faster~2", "faster~2..faster~1"):  # by an edit; by an experiment
        stat = walk.quickstart.run("git", "diff", "--numstat", *commit.split("..")).stdout.splitlines()
        lines = sum(int(n) for row in stat for n in row.split()[:2] if n != "-")
        assert len(stat) <= 10, stat
        assert 0 < lines <= 800, stat


def test_push_and_pull_carry_what_git_does_not(walk: Walk):
    colleague = Sandbox(walk.home / "colleague")
    assert colleague.dvc("status").stdout.strip() == "Data and pipelines are up to date."
    for name in ("plots/report.html", "plots/roc.png", "plots/privacy.csv", "data/train/cnn3/epoch_0002.npz"):
        assert (colleague.root / name).read_bytes() == (walk.quickstart.root / name).read_bytes()


@pytest.fixture(scope="module")
def clone(walk: Walk) -> Sandbox:
    """A clone without a DVC cache, on the branch of the changed value."""
    clone = Sandbox(walk.home / "clone")
    walk.quickstart.run("git", "clone", "--quiet", str(walk.quickstart.root), str(clone.root))
    clone.run("git", "branch", "--quiet", "main", "origin/main")
    offline(clone)
    assert not (clone.root / "data").exists()
    return clone


def test_a_clone_without_a_cache_has_metrics_curves_and_the_picture(clone: Sandbox):
    lines = clone.dvc("metrics", "diff", "main").stdout.splitlines()
    assert any(line.startswith("metrics/cnn3.json") and " val_acc " in line for line in lines)
    assert not any("cnn2" in line for line in lines)
    kept = set(clone.run("git", "ls-files", "plots").stdout.split())
    tables = {f"plots/{name}.csv" for name in ("curves", "training", "roc", "canaries", "remedies")}
    assert kept == {*tables, "plots/.gitignore", "plots/overview.png", "plots/remedies.png"}
    for args in (("show",), ("diff", "main")):
        said = clone.dvc("plots", *args, "--out", args[0])
        assert said.stderr == ""  # nothing missing
        page = (clone.root / args[0] / "index.html").read_text()
        assert len(page) < 2_000_000
        assert not re.search(r"<script[^>]+src=", page)
        assert re.findall(r'<div id = "(\w+)"', page) == [
            "Attacks_by_epoch",
            "Training_by_epoch",
            "ROC_curves",
        ]
        assert list((clone.root / args[0] / "static").glob("*overview.png"))
        for revision in ("main", "workspace")[2 - len(args) :]:
            assert f'"rev": "{revision}"' in page


@pytest.mark.browser
def test_plots_show_draws_the_curves_in_a_browser_without_a_network(clone: Sandbox):
    from benchmarks.chromium import CHROMIUM, Browser

    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    clone.dvc("plots", "show")
    with Browser() as browser:
        browser.look()
        browser.open(clone.root / "dvc_plots/index.html", ready=False)
        browser.until("document.querySelectorAll('svg.marks').length >= 3")
        dom = browser.run("document.documentElement.outerHTML")
    marks = re.findall(r'<path[^>]* aria-roledescription="(line mark|area mark)"[^>]* d="[^"]{8,}', dom)
    assert marks.count("line mark") >= 5 * 3  # a line a variant in each of the five panels over epochs
    assert marks.count("area mark") == 3 * 3
