"""`make quickstart` with DVC played by a script: where it goes on, what it says, and no deletion."""

import os
import shutil
import subprocess

import pytest
import yaml
from sandbox import ROOT, Sandbox

from privacy_report.composition import composed
from privacy_report.layers import shadowed

DVC = """#!/bin/bash
echo "$*" >> "$LOG"
case "$*" in
  "stage list --name-only") printf 'compose\\nprepare\\nreport\\n' ;;
  repro)
    printf "Running stage 'compose':\\n> python -m stages.compose\\nGenerating lock file 'dvc.lock'\\n\\n"
    echo "a line of the stage's own"
    printf "Stage 'prepare' didn't change, skipping\\n"
    [ -z "$STOPPED" ] || exit 1
    printf "Running stage 'report':\\nUse \\`dvc push\\` to send your updates to remote storage.\\n"
    echo result > result.json ;;
esac
"""


class Clone(Sandbox):
    """A clone with all that `make quickstart` reads, installed already."""

    def make(self, target: str, answer: str = "", **env: str) -> list[str]:
        """What make says, without its own lines; the last is its exit code."""
        done = subprocess.run(
            ["make", target], cwd=self.root, input=answer, capture_output=True, text=True, check=False,
            env=os.environ | {"LOG": str(self.root.parent / "log")} | env,
        )  # fmt: skip
        said = (done.stdout + done.stderr).splitlines()
        return [*(line for line in said if not line.startswith("make")), f"exit {done.returncode}"]

    def asked(self) -> list[str]:
        return (self.root.parent / "log").read_text().splitlines()

    @property
    def quickstart(self) -> Sandbox:
        return Sandbox(self.root / "quickstart")


@pytest.fixture
def clone(tmp_path):
    made = Clone(tmp_path / "project with space")
    made.root.mkdir()
    shutil.copytree(ROOT / "conf", made.root / "conf")
    for name in (
        "Makefile",
        "requirements.lock",
        "pyproject.toml",
        "dvc.yaml",
        "quickstart.patch",
        ".gitignore",
    ):
        shutil.copy(ROOT / name, made.root)
    (made.root / ".venv/bin").mkdir(parents=True)
    (made.root / ".venv/bin/dvc").write_text(DVC)
    (made.root / ".venv/bin/dvc").chmod(0o755)
    (made.root / ".venv/installed").touch()
    made.run("git", "init", "--quiet")
    made.run("git", "add", "--all")
    return made


DONE = [
    "quickstart/ is a git repository with this result on its branch main; README.md goes on from there",
    "the page: quickstart/plots/report.html",
    "next:",
    "  source .venv/bin/activate && cd quickstart",
    "  dvc exp run -S variants.cnn3.learning_rate=0.0005",
    "  dvc exp diff",
    "exit 0",
]


def test_the_whole_in_one_go_says_which_stage_of_how_many(clone):
    assert clone.make("quickstart") == [
        "1 of 3: Running stage 'compose':",
        "a line of the stage's own",
        "2 of 3: Stage 'prepare' didn't change, skipping",
        "3 of 3: Running stage 'report':",
        *DONE,
    ]
    assert clone.quickstart.run("git", "status", "--porcelain").stdout == ""
    assert "result.json" in clone.quickstart.run("git", "ls-files").stdout
    assert clone.run("git", "status", "--porcelain", "--untracked-files=all").stdout.count("??") == 0


def test_it_starts_without_the_results_of_the_committed_study(clone):
    for name in ("dvc.lock", "metrics/residual.json", "plots/curves.csv", "docs/plots/kept.md"):
        (clone.root / name).parent.mkdir(parents=True, exist_ok=True)
        (clone.root / name).write_text("of CIFAR-10")
    clone.run("git", "add", "--all")
    clone.make("quickstart")
    listed = clone.quickstart.run("git", "ls-files").stdout.splitlines()
    assert [name for name in listed if name.startswith(("dvc.lock", "metrics", "plots", "docs"))] == [
        "docs/plots/kept.md"
    ]


def test_a_stopped_one_goes_on_and_a_finished_one_stays(clone):
    assert clone.make("quickstart", STOPPED="1")[-1] == "exit 2"
    (clone.quickstart.root / "finished_epochs").write_text("minutes of work")
    assert clone.make("quickstart")[-len(DONE) :] == DONE
    assert (clone.quickstart.root / "finished_epochs").read_text() == "minutes of work"
    (clone.quickstart.root / "mine.txt").write_text("mine")
    clone.quickstart.run("git", "switch", "--quiet", "--create", "faster")
    clone.quickstart.run("git", "commit", "--quiet", "--allow-empty", "--message=mine")
    head = clone.quickstart.run("git", "rev-parse", "HEAD").stdout.strip()
    clone.quickstart.run("git", "update-ref", "refs/exps/ab/cdef/shaky-name", head)
    asked = clone.asked()
    said = "quickstart/ is there already: branch faster, commits: 2, experiments: 1, changed files: 1. "
    assert clone.make("quickstart") == [
        f"{said}README.md goes on from there; make clean-quickstart makes room for a fresh one",
        "exit 0",
    ]
    assert clone.asked() == asked  # no stage ran
    assert clone.make("clean")[-1] == "exit 0"
    assert (clone.quickstart.root / "mine.txt").exists()


def test_the_last_lines_are_true():
    page = DONE[1].removeprefix("the page: quickstart/")
    outputs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["report"]["outs"]
    assert page in [name for out in outputs for name in ([out] if isinstance(out, str) else out)]
    key, _, value = DONE[4].split()[-1].partition("=")
    parameter = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in key.split("."):
        parameter = parameter[name]
    assert parameter != float(value)
    readme = (ROOT / "README.md").read_text()
    assert all(line.strip() in readme for line in DONE[4:6])


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yes please\n"])
def test_only_a_yes_deletes_it(answer, clone):
    assert clone.make("clean-quickstart") == ["there is no quickstart/", "exit 0"]
    clone.make("quickstart")
    assert clone.make("clean-quickstart", answer) == ["quickstart/ is kept", "exit 0"]
    assert (clone.quickstart.root / "result.json").exists()
    assert clone.make("clean-quickstart", "y\n") == ["exit 0"]
    assert not clone.quickstart.root.exists()


def test_a_folder_of_the_users_own_is_refused(clone):
    clone.quickstart.root.mkdir()
    (clone.quickstart.root / "thesis.txt").write_text("mine")
    said = "error: quickstart/ is no repository of make quickstart: move it away"
    assert clone.make("quickstart") == [said, "exit 2"]
    assert clone.make("clean-quickstart", "y\n") == ["there is no quickstart/", "exit 0"]
    assert (clone.quickstart.root / "thesis.txt").read_text() == "mine"


def test_its_values_are_in_its_own_files(clone):
    """So an edit of any of them counts: nothing wins over it."""
    clone.make("quickstart")
    params = yaml.safe_load(composed(clone.quickstart.root / "conf"))
    assert params["dataset"]["name"] == "digits"
    variants = params["variants"].values()
    assert {(model["epochs"], model["epochs_per_report"]) for model in variants} == {(20, 4)}
    assert [model["batch_size"] for model in variants] == [50, 50, 64, 50]
    assert [model["canaries"] and model["canaries"]["count"] for model in variants] == [None, None, None, 200]
    assert (params["reference"]["models"], params["reference"]["epochs"]) == (4, 4)
    limits = {key: params["gate"][key] for key in params["gate"] if key.startswith("max_")}
    assert {key for key, value in limits.items() if value is not None} == {"max_advantage"}
    assert limits["max_advantage"] == 0.25
    assert shadowed(clone.quickstart.root / "conf") == []
    clone.quickstart.edit("conf/variant/cnn2.yaml", "epochs: 20", "epochs: 3")
    clone.quickstart.edit("conf/config.yaml", "dataset: digits", "dataset: folder")
    params = yaml.safe_load(composed(clone.quickstart.root / "conf"))
    assert (params["variants"]["cnn3"]["epochs"], params["dataset"]["name"]) == (3, "folder")
