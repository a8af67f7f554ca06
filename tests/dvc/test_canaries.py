"""An audit twin through the whole pipeline: all stages agree on who is in."""

import json

import numpy as np
import pytest
from sandbox import Sandbox, make_sandbox

from privacy_report.datasets import canaries, prepared
from privacy_report.pipeline.contract import CANARIES, ENTIRE
from privacy_report.pipeline.files import read_arrays
from privacy_report.pipeline.tables import read_rows

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

TINY = "epochs: 2, epochs_per_report: 1, model: {settings: {filters: 4, dense_units: 8}}"
EXPERIMENT = f"""# @package _global_
defaults:
  - override /dataset: digits
variants:
  cnn2_canary: {{{TINY}, canaries: {{count: 200}}}}
reference: {{models: 0, per_variant: {{cnn2_canary: 2, cnn3_dp: 0, cnn3_dp_canary: 0}}}}
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Sandbox:
    sandbox = make_sandbox(tmp_path_factory.mktemp("twins") / "repository", EXPERIMENT, ["cnn2_canary"])
    sandbox.repro()
    return sandbox


def test_all_stages_agree_on_who_is_in(twin):
    data = twin.root / "data"
    coins = canaries.read(data / "canaries/cnn2_canary.npz")
    examples = prepared.read(data / "prepare")
    inside, outside = int(coins.is_member.sum()), int((~coins.is_member).sum())
    ordinary = np.setdiff1d(examples.member, coins.index)
    scored = read_arrays(data / "score/cnn2_canary/epoch_0002.npz")
    assert (scored["member_labels"] == examples.labels[ordinary]).all()
    assert (scored["nonmember_labels"] == examples.labels[examples.nonmember]).all()
    scored = read_arrays(data / "score/cnn2_canary/canaries/epoch_0002.npz")
    assert (scored["member_labels"] == coins.labels[coins.is_member]).all()
    assert (scored["nonmember_labels"] == coins.labels[~coins.is_member]).all()
    for place, n in (("", len(ordinary) + len(examples.nonmember)), ("canaries", 200)):
        trains = np.load(data / "reference/cnn2_canary" / place / "trains.npy")
        assert (
            trains.shape == np.load(data / "reference/cnn2_canary" / place / "phi_0002.npy").shape == (2, n)
        )
        assert (trains.sum(axis=0) == 1).all()
    rows = read_rows(data / "attack/cnn2_canary/privacy.csv")
    sizes = {row["slice"]: (row["n_member"], row["n_nonmember"]) for row in rows}
    assert sizes[CANARIES] == (inside, outside)
    assert sizes[ENTIRE] == (len(ordinary), len(examples.nonmember))
    audited = json.loads((data / "attack/cnn2_canary/one_run.json").read_text())
    assert (audited["canaries"], audited["guesses"], audited["epoch"]) == (200, 40, 2)


def test_the_twin_is_judged_and_shown_and_never_shipped(twin):
    verdict = json.loads((twin.root / "data/gate/cnn2_canary.json").read_text())
    assert verdict["verdict"] == "audit"
    audited = json.loads((twin.root / "data/attack/cnn2_canary/one_run.json").read_text())["epsilon_one_run"]
    metrics = json.loads((twin.root / "metrics/cnn2_canary.json").read_text())
    assert metrics["eps_audited"] == pytest.approx(audited, rel=1e-3)
    assert {row["variant"] for row in read_rows(twin.root / "plots/canaries.csv")} == {"cnn2_canary"}
    assert [path.name for path in (twin.root / "models/cnn2_canary").iterdir()] == ["cnn2_canary.md"]
    assert "never shipped" in (twin.root / "models/cnn2_canary/cnn2_canary.md").read_text()
    page = (twin.root / "plots/report.html").read_text()
    assert "<h2>Canaries</h2>" in page
    assert "of 40, 200 canaries" in page


def test_other_coins_are_other_data(twin):
    assert twin.repro() == []
    twin.edit("conf/experiment/smallest.yaml", "count: 200", "count: 200, seed: 1")
    twin.python("-m", "stages.compose")
    changed = set(json.loads(twin.dvc("status", "--json").stdout))
    assert {"canaries@cnn2_canary", "train@cnn2_canary"} <= changed
