"""The keys of finished work, computed from the source of the library that is there, of small parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_report.attack import checkpoint, variant
from privacy_report.attack.audit import audit_params
from privacy_report.pipeline import memo
from privacy_report.training import run
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.references import planned
from privacy_report.training.schema import Privacy, Variant

ORDINARY = Variant(label="V")
PRIVATE = Variant(label="V", privacy=Privacy(noise_multiplier=1.0))
STATE = {"architecture": np.array("{}"), "weights/000": np.zeros(3), "optimizer/000": np.zeros(3)}
DEFAULT = audit_params(["threshold", "logistic", "trajectory", "lira"])
PARITY = audit_params(["threshold", "logistic"], mode="parity")


def train(config=ORDINARY, name="cnn2", data="data"):
    return memo.digest(run.variant_inputs(name, config, data))


def reference(config=ORDINARY, data="data", **settings):
    params = ReferenceParams(models=2, **settings)
    return planned("cnn2", config, params, 10, data)[0].key(2)


def score(data="data", state=STATE, model=ORDINARY.model):
    return run.score_key(run.score_inputs(model, data), state)


def attack(name, params=DEFAULT, groups=None):
    alone = replace(params, attacks=[name or "threshold"])
    return memo.digest(checkpoint.inputs(alone, groups)[name])


def facts(root, folder):
    folder.mkdir(exist_ok=True)
    (folder / "epoch_0002.npz").touch()
    np.save(folder / "trains.npy", np.zeros((0, 3), bool))
    return memo.digest(variant.read_inputs(DEFAULT, None, folder, folder).facts[root])


KEYS = {
    "train": train,
    "train private": lambda: train(PRIVATE),
    "reference": reference,
    "score": score,
    "threshold": lambda: attack("threshold"),
    "logistic": lambda: attack("logistic"),
    "trajectory": lambda: attack("trajectory"),
    "lira": lambda: attack("lira"),
    "risks of examples": lambda: attack(""),
    "threshold, parity": lambda: attack("threshold", PARITY),
    "logistic, parity": lambda: attack("logistic", PARITY),
}
TRAINED = ("train", "train private", "reference", "score")
ATTACKS = tuple(name for name in KEYS if name not in TRAINED)


def keys(names=tuple(KEYS)):
    return {name: KEYS[name]() for name in names}


def edit(path, old, new):
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1))
