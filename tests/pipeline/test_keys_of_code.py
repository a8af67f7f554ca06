"""What of code and machine is in which key: modules, a user's own files, versions, the environment."""

from __future__ import annotations

import platform
from dataclasses import replace

import pytest
from planned_keys import DEFAULT, KEYS, ORDINARY, TRAINED, attack, keys, moved, reference, score, train

from privacy_report.attack import checkpoint
from privacy_report.attack.schema import Estimator
from privacy_report.pipeline import code, memo
from privacy_report.pipeline.code import code_of
from privacy_report.pipeline.component import Component
from privacy_report.training import plan, references

NETS = "nets_of_a_test"


def test_a_users_own_folder_is_in_the_keys_of_the_variants_that_it_is_chosen_for(beside):
    (beside / NETS).mkdir()
    (beside / NETS / "a.py").write_text("def net(): ...")
    mine = {
        kind: replace(ORDINARY, **{kind: Component(f"{NETS}.a.net")})
        for kind in ("model", "optimizer", "schedule", "loss")
    }

    def found():
        own = {kind: train(config) for kind, config in mine.items()}
        own |= {"reference": reference(mine["model"]), "score": score(model=mine["model"].model)}
        return own | {"others": train(), "others' score": score()}

    before = found()
    (beside / NETS / "widths.json").write_text("[1]")
    after = found()
    assert {name for name in before if after[name] != before[name]} == {*mine, "reference", "score"}


def test_a_users_own_estimator_is_in_the_keys_of_its_attack(beside):
    (beside / f"{NETS}.py").write_text("class Own: ...")
    own = replace(DEFAULT, attacks=["own"], estimators={"own": Estimator(f"{NETS}.Own")})
    before = attack("own", own)
    (beside / f"{NETS}.py").write_text("class Own:\n    depth = 1")
    assert attack("own", own) != before


PRIVATE_MODULES = (
    "private",
    "private_gradient",
    "per_example",
    "self_check",
    "watch",
    "gradient_canaries",
    "accounting",
    "isolation",
)
ROOTS = {
    "train": (plan.TARGET, plan.ORDINARY),
    "train private": (plan.TARGET, plan.PRIVATE),
    "reference": (references.REFERENCE, plan.ORDINARY),
    "score": (plan.SCORING,),
    "attack": (checkpoint.JOB, *checkpoint.plan("lira", DEFAULT, None).roots),
}
UNSEEN = ("code", "command", "locks", "memo", "params", "store", "store_policy")
"""Modules of `pipeline` in which an edit computes nothing: progress, command line, the store itself."""


@pytest.mark.parametrize("kind", ROOTS)
def test_the_closure_is_tight(kind):
    """An edit computes again whatever it is in: what no number passes through stays outside."""
    modules = {name.removeprefix("privacy_report.") for name in code_of(*ROOTS[kind]).modules}
    assert [name for name in UNSEEN if f"pipeline.{name}" in modules] == []
    assert not [name for name in modules if name.startswith(("commands", "gate", "report", "audits"))]
    private = {f"training.{name}" for name in PRIVATE_MODULES}
    assert (modules & private) == (private if kind == "train private" else set())
    assert len(modules) < 45


LIBRARIES = {
    "tensorflow": TRAINED,
    "keras": TRAINED,
    "numpy": set(KEYS),
    "dp-accounting": {"train private"},
    "scikit-learn": {"logistic", "logistic, parity", "threshold, parity"},
}


@pytest.mark.parametrize("distribution", LIBRARIES)
def test_the_version_of_a_library_is_in_the_keys_of_what_imports_it(distribution, monkeypatch):
    before, real = keys(), code._version
    monkeypatch.setattr(code, "_version", lambda name: "0.0" if name == distribution else real(name))
    assert moved(before) == LIBRARIES[distribution]


def test_pythons_version_is_in_all_keys(monkeypatch):
    before = keys()
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    assert moved(before) == set(KEYS)


COUNTS = (
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "PRIVACY_REPORT_DEVICE",
    "TF_DETERMINISTIC_OPS",
)
OTHERS = ("TF_VAR_password", "TF_CLI_CONFIG_FILE", "TF_LOG")  # Terraform's
CHANGES_NO_BIT = (
    "HOME", "PATH", "OPENBLAS_NUM_THREADS", "TF_NUM_INTEROP_THREADS", *memo.PINNED, *OTHERS,
)  # fmt: skip


@pytest.mark.parametrize("variable", [*COUNTS, *CHANGES_NO_BIT])
def test_variables_that_change_bits_are_in_all_keys_and_no_others(variable, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    before = keys()
    monkeypatch.setenv(variable, "AVX2")
    assert moved(before) == (set(KEYS) if variable in COUNTS else set())


def test_variables_that_a_users_own_code_names_are_in_its_keys(beside, monkeypatch):
    text = "import os\nWIDTH = os.environ.get('WIDTH_OF_A_TEST')\nNAME = '_'.join('ab')\n"
    text += "DEPTHS = [os.environ.get(f'DEPTH_OF_A_TEST_{i}') for i in range(3)]"
    (beside / f"{NETS}.py").write_text(text)
    mine = replace(ORDINARY, model=Component(f"{NETS}.net"))
    before, others = train(mine), train()
    monkeypatch.setenv("_", "what the shell ran last")
    assert train(mine) == before
    for name in ("WIDTH_OF_A_TEST", "DEPTH_OF_A_TEST_2"):
        monkeypatch.setenv(name, "3")
        assert train(mine) != before
        monkeypatch.delenv(name)
    assert train() == others


def test_a_users_code_may_name_what_is_set_when_tensorflow_is_imported(beside, monkeypatch):
    """A worker's key is made once before that, and once after it."""
    names = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES")
    (beside / f"{NETS}.py").write_text(f"NAMES = {names}")
    mine = replace(ORDINARY, model=Component(f"{NETS}.net"))
    for name in names:
        monkeypatch.delenv(name, raising=False)
    before = train(mine)
    for name in names:
        monkeypatch.setenv(name, "3")
    assert train(mine) == before
