"""Keys of results as they are planned; nothing is computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_report.attack import checkpoint
from privacy_report.audits.attacks import audit_params
from privacy_report.pipeline.digests import digest
from privacy_report.training import plan, references
from privacy_report.training.job import Source
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.schema import Privacy, Variant

ORDINARY = Variant(label="V")
PRIVATE = Variant(label="V", privacy=Privacy(noise_multiplier=1.0))
STATE = {"architecture": np.array("{}"), "weights/000": np.zeros(3), "optimizer/000": np.zeros(3)}
DEFAULT = audit_params(["threshold", "logistic", "trajectory", "lira"])
PARITY = audit_params(["threshold", "logistic"], mode="parity")


class Keys:
    """A memo that computes nothing: it notes the keys, and recalls what it was given."""

    def __init__(self, *answers):
        self.answers, self.keys = list(answers), []

    def recall(self, kind, key, compute):
        self.keys.append(key)
        return self.answers.pop(0) if self.answers else {}


def source(data="data"):
    """Examples that nobody reads."""
    return Source("folder", "canaries", data)


def train(config=ORDINARY, name="cnn2", data="data", states=(), epoch=1):
    """The key of an epoch of a target, given the states after those before it."""
    kept = Keys(*states)
    list(plan.target(name, config, source(data)).epochs(kept, epoch))
    return kept.keys[-1]


def reference(config=ORDINARY, data="data", i=0, epoch=2, **settings):
    """The key of reference `i` up to an epoch."""
    params = ReferenceParams(models=6, **settings)
    return references.planned("cnn2", config, params, 10, source(data))[i].key(epoch)


def score(data="data", state=STATE, model=ORDINARY.model, canaries=False, queries=None):
    """The key of a checkpoint's scores."""
    kept = Keys()
    plan.scores(model, source(data), queries).of(kept, state, "epoch_0001.npz", canaries)
    return kept.keys[-1]


def attack(name, params=DEFAULT, groups=None):
    """The key without the files; "" stands for the examples' risks."""
    alone = replace(params, attacks=[name or "threshold"])
    return digest(checkpoint.planned(alone, groups).inputs[name])


KEYS = {
    "train": train,
    "train private": lambda: train(PRIVATE),
    "reference": reference,
    "score": score,
    "threshold": lambda: attack("threshold"),
    "logistic": lambda: attack("logistic"),
    "trajectory": lambda: attack("trajectory"),
    "lira": lambda: attack("lira"),
    "risks": lambda: attack(""),
    "threshold, parity": lambda: attack("threshold", PARITY),
    "logistic, parity": lambda: attack("logistic", PARITY),
}
TRAINED = {"train", "train private", "reference", "score"}
"""Those of what TensorFlow computes."""


def keys():
    """All keys as they are now."""
    return {name: key() for name, key in KEYS.items()}


def moved(before):
    """The names of the keys that are others than `before`."""
    return {name for name, key in keys().items() if key != before[name]}
