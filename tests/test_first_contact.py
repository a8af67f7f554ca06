"""`make install` on a machine that lacks something: one line that says what, and the next try works.

Python, pip and DVC are played by a script on PATH that writes down what it was asked; nothing is installed.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from sandbox import ROOT

# What the Makefile asks of Python: is it new enough and whole, `-m venv FOLDER`, and to install.
PYTHON = """#!/bin/bash
echo "$0 $*" >> "$LOG"
case "$*" in
  "-c "*) exit ${OLD:-0} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/dvc" ;;
  "-m pip install "*" uv") exit ${OFFLINE:-${WITHOUT_UV:-0}} ;;
  "-m pip install "*) exit ${OFFLINE:-0} ;;
  "-m pip config get global.index-url") [ -z "$CONFIGURED" ] || echo "$CONFIGURED" ;;
  "-m uv pip install "*--requirement*)
    echo "index: $UV_DEFAULT_INDEX" >> "$LOG"
    [ -z "$SLOW" ] || sleep "$SLOW"
    [ -z "$INTERRUPTED" ] || { trap "exit 130" INT; kill -INT 0; }
    printf 'Resolved 2 packages\n + one==1.0\n'
    exit ${BROKEN:-0} ;;
esac
"""


class Machine:
    """A folder with the Makefile as it is in a ZIP, and a PATH that has only what a test puts there."""

    def __init__(self, root: Path):
        self.root, self.path, self.log = root / "project with space", root / "bin", root / "log"
        for folder in (self.root, self.path):
            folder.mkdir()
        for name in ("Makefile", "requirements.lock", "pyproject.toml", "dvc.yaml"):
            shutil.copy(ROOT / name, self.root)
        for name in ("make", "bash", "mkdir", "cp", "rm", "touch"):
            self.has(name)
        self.put(self.path / "python3")

    def has(self, name: str) -> None:
        os.symlink(shutil.which(name), self.path / name)

    def put(self, path: Path, text: str = PYTHON) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def clone(self) -> None:
        self.has("git")
        for command in (["init", "--quiet"], ["add", "--all"]):
            subprocess.run(["git", *command], cwd=self.root, check=True)

    def install(self, *arguments: str, **env: str) -> list[str]:
        """What `make install` says, without make's own lines; the last is its exit code."""
        env |= {
            "PATH": str(self.path),
            "LOG": str(self.log),
            "GIT_CEILING_DIRECTORIES": str(self.root.parent),
        }
        done = subprocess.run(
            ["make", "install", *arguments],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        assert done.returncode in (0, 2, -signal.SIGINT)
        self.said = (done.stdout + done.stderr).splitlines()
        return [*(line for line in self.said if line.startswith("error: ")), f"exit {done.returncode}"]

    def asked(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    @property
    def done(self) -> bool:
        return (self.root / ".venv/installed").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_missing_git_is_said_before_anything_is_installed(machine: Machine):
    assert machine.install() == ["error: git is missing: install it, then try again", "exit 2"]
    assert machine.asked() == ""
    machine.clone()
    assert machine.install() == ["exit 0"]
    assert machine.done


def test_a_zip_is_said_before_anything_is_installed(machine: Machine):
    machine.has("git")
    line = "error: this folder is no git clone: get the project with git clone, not as a ZIP"
    assert machine.install() == [line, "exit 2"]
    subprocess.run(["git", "init", "--quiet"], cwd=machine.root.parent, check=True)
    assert machine.install(GIT_CEILING_DIRECTORIES="") == [line, "exit 2"]  # another project's repository
    assert machine.asked() == ""


def test_an_old_python_is_said_and_another_can_be_named(machine: Machine):
    machine.clone()
    line = "is missing or older than 3.11; name a newer one, as in make PYTHON=python3.12 install"
    assert machine.install(OLD="1") == [f"error: python3 {line}", "exit 2"]
    assert machine.install("PYTHON=python3.99") == [f"error: python3.99 {line}", "exit 2"]
    assert not (machine.root / ".venv").exists()
    machine.put(machine.path / "python3.12")
    assert machine.install("PYTHON=python3.12") == ["exit 0"]
    assert machine.done


WITHOUT_PIP = '#!/bin/bash\n[[ "$*" != *"import pip"* ]]\n'


@pytest.mark.parametrize(
    "left", [WITHOUT_PIP, "#!/no/such/python\n", None], ids=["no pip", "its Python is gone", "empty"]
)
def test_a_half_made_environment_is_made_anew(machine: Machine, left: str | None):
    machine.clone()
    stale = machine.root / ".venv/lib/stale"
    stale.mkdir(parents=True)
    if left is not None:
        machine.put(machine.root / ".venv/bin/python", left)
    assert machine.install() == ["exit 0"]
    assert "-m venv" in machine.asked()
    assert not stale.exists()
    assert machine.done


def test_an_interrupted_installation_goes_on(machine: Machine):
    machine.clone()
    assert machine.install(OFFLINE="1") == ["exit 2"]
    assert not machine.done
    assert machine.install() == ["exit 0"]
    assert machine.done
    assert machine.asked().count("-m venv") == 1
    before = machine.asked()
    assert machine.install() == ["exit 0"]
    assert machine.asked() == before


WITH_UV = "-m uv pip install --python .venv/bin/python --compile-bytecode --requirement requirements.lock"
WITH_PIP = "-m pip install --disable-pip-version-check --requirement requirements.lock"


def test_uv_installs_the_list_and_pip_only_uv(machine: Machine):
    machine.clone()
    assert machine.install() == ["exit 0"]
    assert WITH_UV in machine.asked()
    assert WITH_PIP not in machine.asked()
    assert "Resolved 2 packages" in machine.said
    assert " + one==1.0" not in machine.said


@pytest.mark.parametrize("why", ["WITHOUT_UV", "BROKEN"])
def test_pip_installs_where_uv_cannot_be_had_or_fails(machine: Machine, why: str):
    machine.clone()
    assert machine.install(**{why: "1"}) == ["exit 0"]
    assert (WITH_UV in machine.asked()) == (why == "BROKEN")
    assert WITH_PIP in machine.asked()
    assert "uv cannot be had, or failed: pip goes on" in machine.said
    assert machine.done


@pytest.mark.parametrize(
    ("env", "index"),
    [
        ({}, ""),
        ({"CONFIGURED": "a"}, "a"),
        ({"CONFIGURED": "a", "PIP_INDEX_URL": "b"}, "b"),
        ({"CONFIGURED": "a", "PIP_INDEX_URL": "b", "UV_INDEX_URL": "c"}, "c"),
        ({"CONFIGURED": "a", "UV_INDEX_URL": "c", "UV_DEFAULT_INDEX": "d"}, "d"),
    ],
    ids=["none", "pip's file", "pip's variable", "uv's old variable", "uv's variable"],
)
def test_uv_asks_the_index_that_is_configured(machine: Machine, env: dict[str, str], index: str):
    machine.clone()
    assert machine.install(**env) == ["exit 0"]
    assert f"index: {index}" in machine.asked().splitlines()


def test_silence_is_broken_every_five_seconds(machine: Machine):
    machine.clone()
    machine.has("sleep")
    (machine.root / ".venv/lib/python3/site-packages/some.dist-info").mkdir(parents=True)
    (machine.root / ".venv/bin").mkdir()
    machine.put(machine.root / ".venv/bin/python")
    machine.put(machine.root / ".venv/bin/dvc")
    assert machine.install(SLOW="6") == ["exit 0"]
    assert [line for line in machine.said if "in place" in line] == ["5 s: packages in place: 1"]


def test_ctrl_c_does_not_start_pip(machine: Machine):
    machine.clone()
    machine.install(INTERRUPTED="1")
    assert WITH_UV in machine.asked()
    assert WITH_PIP not in machine.asked()
    assert not machine.done
