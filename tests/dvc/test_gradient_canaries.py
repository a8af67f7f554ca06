"""An audit twin with gradient canaries through the whole pipeline, next to the variant that it audits."""

import json

import pytest
from sandbox import Sandbox, make_sandbox

from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.files import read_arrays
from privacy_report.pipeline.tables import read_rows

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

TINY = """
    {epochs: 2, epochs_per_report: 1, model: {settings: {filters: 4, dense_units: 8}}, batch_size: 100,
     privacy: {target_epsilon: null, noise_multiplier: 1.0}"""
EXPERIMENT = f"""# @package _global_
defaults:
  - override /dataset: digits
variants:
  cnn3_dp: {TINY}}}
  cnn3_dp_gradient: {TINY}, canaries: {{count: 200}}}}
reference: {{models: 0, per_variant: {{cnn3_dp: 0, cnn3_dp_gradient: 0}}}}
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Sandbox:
    target = tmp_path_factory.mktemp("gradients") / "repository"
    sandbox = make_sandbox(target, EXPERIMENT, ["cnn3_dp", "cnn3_dp_gradient"])
    sandbox.repro()
    return sandbox


def test_the_audit_is_of_the_scores_that_training_left(audited):
    data = audited.root / "data"
    audit = json.loads((data / "attack/cnn3_dp_gradient/one_run.json").read_text())
    scores = read_arrays(data / "train/cnn3_dp_gradient/gradient_canaries.npz")
    order, coins = scores["canary_scores"].argsort(), scores["canary_is_member"]
    assert audit["correct"] == coins[order[-20:]].sum() + (~coins[order[:20]]).sum()
    assert (audit["canaries"], audit["guesses"], audit["epoch"]) == (200, 40, 2)
    assert not (data / "attack/cnn3_dp/one_run.json").exists()
    rows = read_rows(data / "attack/cnn3_dp_gradient/privacy.csv")
    assert CANARIES not in {row["slice"] for row in rows}


def test_claim_and_audit_stand_next_to_each_other(audited):
    audit = json.loads((audited.root / "data/attack/cnn3_dp_gradient/one_run.json").read_text())
    metrics = json.loads((audited.root / "metrics/cnn3_dp_gradient.json").read_text())
    assert metrics["verdict"] == "audit"
    assert metrics["eps_audited"] == pytest.approx(audit["epsilon_one_run"], rel=1e-3)
    (row,) = read_rows(audited.root / "plots/canaries.csv")
    assert (row["variant"], row["attack"]) == ("cnn3_dp_gradient", "gradient")
    page = (audited.root / "plots/report.html").read_text()
    assert "white box: at least" in page
    assert "sees every step's update" in page
    assert [path.name for path in (audited.root / "models/cnn3_dp_gradient").iterdir()] == [
        "cnn3_dp_gradient.md"
    ]


def test_nothing_is_left_to_do(audited):
    assert audited.repro() == []
