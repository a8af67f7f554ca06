"""Copies of this repository, in temporary folders, in which real stages run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = """# @package _global_
# The smallest run that passes through every stage.
defaults:
  - override /dataset: digits
variants:
  cnn2: {epochs: 2, epochs_per_report: 1, model: &small {settings: {filters: 4, dense_units: 8}}}
  cnn3: {epochs: 2, epochs_per_report: 1, model: *small}
  cnn3_dp:
    {epochs: 2, epochs_per_report: 1, model: *small, batch_size: 100,
     privacy: {target_epsilon: null, noise_multiplier: 1.0}}
reference: {models: 0, per_variant: {cnn2: 4, cnn3_dp: 0}}
"""


@dataclass(frozen=True)
class Sandbox:
    """A copy of the repository, set up for the smallest experiment, with commands that run in it."""

    root: Path

    def run(self, *command: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment that runs the tests; its output is in the failure's message."""
        done = subprocess.run(
            command, cwd=self.root, env=environment() | env, text=True, capture_output=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def python(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, *args, check=check, **env)

    def dvc(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", *args, check=check, **env)

    def repro(self, *args: str, **env: str) -> list[str]:
        """`dvc repro`; the names of the stages that ran, in order."""
        return ran(self.dvc("repro", *args, **env).stdout)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file; it must be there."""
        text = (self.root / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        (self.root / path).write_text(text.replace(old, new))

    def append(self, path: str, line: str) -> None:
        """Add a line to a file."""
        with open(self.root / path, "a") as file:
            file.write(f"{line}\n")

    def copy(self, target: Path) -> Sandbox:
        shutil.copytree(self.root, target, symlinks=True)
        return Sandbox(target)


def ran(output: str) -> list[str]:
    """The stages that a `dvc repro` or `dvc exp run` says it ran."""
    return re.findall(r"^Running stage '(.+?)'", output, flags=re.MULTILINE)


def environment() -> dict[str, str]:
    """This process's environment, less what would tie a sandbox to the repository under test."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), keep.get("PATH", "")])
    who = {
        f"GIT_{role}_{what}": "tests@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return keep | who | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "DVC_NO_ANALYTICS": "1"}


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A locale in which Python takes texts for ASCII unless it is told."""


def plain_python(
    *code_or_module: str, cwd: Path | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run code, or `-m MODULE ARGUMENTS`, with an interpreter to which everything is ASCII."""
    code = code_or_module if code_or_module[0] == "-m" else ("-c", *code_or_module)
    env = environment() | ASCII | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *code], cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert not (check and done.returncode), done.stderr
    return done


def make_sandbox(
    target: Path, experiment: str = EXPERIMENT, variants: Sequence[str] = ("cnn2", "cnn3", "cnn3_dp")
) -> Sandbox:
    """Copy what git tracks or would track into a git repository, with an experiment of `variants` chosen."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":  # of other variants
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    sandbox = Sandbox(target)
    (target / "conf/experiment/smallest.yaml").write_text(experiment)
    sandbox.edit("conf/config.yaml", "experiment: null", "experiment: smallest")
    config = target / "conf/config.yaml"
    config.write_text(re.sub(r"variant: \[.*?\]", f"variant: [{', '.join(variants)}]", config.read_text()))
    sandbox.run("git", "init", "--quiet", "--initial-branch=main")
    return sandbox
