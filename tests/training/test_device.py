"""The device: the CPU unless another one is chosen, in the keys, and one line where there is no GPU."""

import os
import subprocess
import sys

import pytest
from sandbox import ROOT, environment

from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.training import device, plan
from privacy_report.training.schema import BackendParams


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.setenv(device.VARIABLE, "")
    monkeypatch.delenv(device.VARIABLE)


def test_the_device_is_in_the_keys_unless_it_is_the_cpu():
    before = memo.base(plan.TARGET)
    assert device.VARIABLE not in before["environment"]
    device.use("gpu")
    assert device.chosen() == "gpu"
    assert memo.base(plan.TARGET)["environment"] == before["environment"] | {device.VARIABLE: "gpu"}
    device.use("cpu")
    assert memo.base(plan.TARGET) == before


@pytest.mark.parametrize("there", [True, False])
def test_an_unused_gpu_is_named_with_the_way_to_use_it(there, monkeypatch):
    monkeypatch.setattr(device.Path, "glob", lambda self, pattern: iter(["nvidia0"] if there else []))
    assert ("backend.device=gpu" in device.use("cpu")) == there


def test_an_unknown_device_is_refused():
    with pytest.raises(UserError, match="device: got 'tpu', allowed: cpu, gpu"):
        BackendParams("tpu")


def test_without_a_visible_gpu_there_is_one_line():
    code = (
        "from privacy_report.pipeline.command import run\n"
        "from privacy_report.training import device\n"
        "device.use('gpu')\n"
        "def main(argv):\n"
        "    import privacy_report.training.backend\n"
        "run(main)"
    )
    env = environment() | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "error: backend.device: got 'gpu', but TensorFlow sees no GPU"
    )
    assert "Traceback" not in done.stderr
    assert device.VARIABLE not in os.environ
