"""Score files in miniature, and what is computed of them."""

import numpy as np
import pytest

from privacy_report.attack import exposure, findings
from privacy_report.pipeline.outputs import Outputs


def make_outputs(n_member=400, n_nonmember=200, n_classes=4, shift=0.0, seed=0) -> Outputs:
    """Gaussian logits with a bonus of 2 for the label, members' bonus larger by `shift`."""
    rng = np.random.default_rng(seed)
    n = n_member + n_nonmember
    labels = rng.integers(0, n_classes, n).astype(np.int32)
    logits = rng.normal(size=(n, n_classes)).astype(np.float32)
    logits[np.arange(n), labels] += 2.0
    logits[np.arange(n_member), labels[:n_member]] += shift
    return Outputs(logits[:n_member], labels[:n_member], logits[n_member:], labels[n_member:])


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """How many cores stage attack sees: one, so that it computes by itself, unless a test sets more."""

    def set_cores(number):
        monkeypatch.setattr("privacy_report.attack.workers._cores", lambda: number)

    set_cores(1)
    return set_cores


@pytest.fixture
def outputs():
    return make_outputs


@pytest.fixture
def computed(monkeypatch):
    """What is computed, not recalled: the names of attacks, and "" for the examples' risks."""
    names = []
    attack, risks = findings.attack_checkpoint, exposure.risks
    monkeypatch.setattr(
        "privacy_report.attack.job.attack_checkpoint",
        lambda examples, plan, *more: names.append(plan.attack) or attack(examples, plan, *more),
    )
    monkeypatch.setattr(exposure, "risks", lambda *args: names.append("") or risks(*args))
    return names
