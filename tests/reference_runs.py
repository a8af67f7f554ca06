"""Runs of the stage `reference` in a sandbox, and what they give."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml
from sandbox import Sandbox

from privacy_report.datasets import canaries, prepared
from privacy_report.pipeline.params import load
from privacy_report.training.job import Source
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.references import Reference, planned
from privacy_report.training.schema import Variant

NOWHERE = "tcp://127.0.0.1:9"

ALL = [(0, 2), (0, 4), (0, 6), (1, 2), (1, 4), (1, 6)]

"""(model, last epoch) of the intervals of two models."""

AT = "if what == 'epoch' and (model, epoch) == (1, 3) and once(): "

"""In the middle of model 1's second interval, once."""

DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def edit(sandbox: Sandbox, variant: dict[str, Any] | None = None, **reference: Any) -> None:
    """Change parameters of cnn2 and of the references."""
    path = sandbox.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["variants"]["cnn2"] |= variant or {}
    params["reference"] |= reference
    path.write_text(yaml.safe_dump(params))


def reference(sandbox: Sandbox, address: str, variant: str = "cnn2", **env: str):
    """Run the stage on a cluster; its result is not checked."""
    return sandbox.python(
        "-m", "stages.reference", variant, check=False, **{"DASK_SCHEDULER_ADDRESS": address} | env
    )


def phi(sandbox: Sandbox, variant: str = "cnn2") -> dict[int, np.ndarray]:
    """Epoch -> what the stage wrote."""
    folder = sandbox.root / "data/reference" / variant
    return {int(path.stem[-4:]): np.load(path) for path in sorted(folder.glob("phi_*.npy"))}


def same(actual: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> bool:
    return {epoch: array.tobytes() for epoch, array in actual.items()} == {
        epoch: array.tobytes() for epoch, array in expected.items()
    }


def first_two(expected: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    return {epoch: array[:2] for epoch, array in expected.items()}


def plan(sandbox: Sandbox, variant: str = "cnn2") -> list[Reference]:
    """What the stage gives to the engine."""
    params = sandbox.root / "params.yaml"
    config, reference = (
        load(f"variants.{variant}", Variant, params),
        load("reference", ReferenceParams, params),
    )
    folder, path = sandbox.root / prepared.FOLDER, sandbox.root / canaries.path_of(variant)
    data = prepared.read(folder)
    n = len(data.member) + len(data.nonmember)
    source = Source(str(folder), str(path), canaries.files_digest(path, folder))
    return planned(variant, config, reference, n, source)
