"""Processes forked from one that has imported the libraries and nothing of ours: each begins seconds earlier.

They are processes like any other: they have an environment and a folder of their own, and can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

from sandbox import environment

LIBRARIES = (
    "dask",
    "distributed",
    "dp_accounting",
    "keras",
    "omegaconf",
    "scipy.stats",
    "sklearn.linear_model",
    "tensorflow",
)
PINNED = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""Of the process that is forked: what the project sets before it imports TensorFlow."""
FORK = multiprocessing.get_context("forkserver")


def start(process: BaseProcess) -> None:
    """Start a process of `FORK`."""
    FORK.set_forkserver_preload(list(LIBRARIES))
    with patch.dict(os.environ, PINNED):  # the server inherits them when it starts
        process.start()


@dataclass(frozen=True)
class Forked:
    """What of `subprocess.Popen` the tests use."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        code = self.process.exitcode
        assert code is not None, f"waited {timeout} s in vain"
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may end between the two
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def python_m(module: str, *args: str, cwd: Path, log: Path, **env: str) -> Forked:
    """`python -m MODULE ARGS` in the folder `cwd`, with the code that is there; `log`: what it says."""
    given = ([module, *args], str(cwd), environment() | env, str(log))
    process = FORK.Process(target=_run, args=given, daemon=True)  # ends with the tests if it was forgotten
    start(process)
    return Forked(process)


def _run(argv: list[str], folder: str, env: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    with open(log, "ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    assert "privacy_report" not in sys.modules
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    sys.argv = argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
