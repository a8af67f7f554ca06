"""The benchmark of what hours of references buy, in miniature."""

import json

import numpy as np
import pytest
from planted import write_references
from scipy.special import expit, logit

from benchmarks import reference_cost
from benchmarks.reference_cost import FPR, measure, points
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.references import References
from privacy_report.attack.roc import roc_curve, tpr_at_fpr
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import Outputs, output_arrays
from privacy_report.training.memberships import halves

MEMBERS, N = 3000, 9000
EPOCHS = (2, 4, 6)


@pytest.fixture(scope="module")
def world():
    """A target's phi and four references' at three epochs: they share hardness, and know ever more."""
    rng, sides = np.random.default_rng(0), halves(N, 4, 0)
    is_member, hardness = np.arange(N) < MEMBERS, rng.normal(2, 2, N)
    phis = {e: (hardness + e / 3 * sides + rng.normal(size=(4, N))).astype(np.float32) for e in EPOCHS}
    return hardness + 2 * is_member + rng.normal(size=N), is_member, phis, sides


def test_points_are_means_of_the_attacks_over_disjoint_sets(world):
    target, is_member, phis, sides = world
    by_setting = {(p.way, p.models, p.epochs): p for p in points(target, is_member, phis, 36.0)}
    assert set(by_setting) == {(way, n, e) for way in ("last", "all") for n in (1, 2, 4) for e in EPOCHS}

    def slow(references):
        scores = rmia(target, references)
        return tpr_at_fpr(roc_curve(scores[is_member], scores[~is_member]), FPR)

    pairs = [slow(References(phis[4][pair], sides[pair])) for pair in (slice(0, 2), slice(2, 4))]
    point = by_setting["last", 2, 4]
    assert (point.tpr, point.sets) == (pytest.approx(np.mean(pairs)), 2)
    assert (point.least, point.most) == (min(pairs), max(pairs))
    assert point.low < point.tpr < point.high
    assert point.hours == pytest.approx(2 * 4 * 36 / 3600)
    every = slow(References(logit((expit(phis[2]) + expit(phis[4])) / 2), sides))
    assert by_setting["all", 4, 4].tpr == pytest.approx(every, abs=2 / MEMBERS)  # float32 phi in between
    assert by_setting["last", 4, 4].tpr == slow(References(phis[4], sides))
    assert by_setting["all", 1, 2].tpr == by_setting["last", 1, 2].tpr
    assert by_setting["all", 1, 6].tpr != by_setting["last", 1, 6].tpr


def test_it_draws_what_it_wrote(world, tmp_path, monkeypatch):
    target, is_member, phis, sides = world
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    write_references(tmp_path / "reference/cnn2", sides, phis)
    labels = np.zeros(N, np.int32)
    for epoch, share in ((2, 0.1), (4, 0.2), (50, 1)):
        logits = np.zeros((N, 2), np.float32)
        logits[:, 0] = np.where(is_member, target - 2 * (1 - share), target)
        side = Outputs(logits[:MEMBERS], labels[:MEMBERS], logits[MEMBERS:], labels[MEMBERS:])
        write_arrays(tmp_path / f"score/cnn2/epoch_{epoch:04}.npz", output_arrays(side))
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "cost.json")]
    with pytest.raises(UserError, match=r"reference@cnn2.json: no such file; .* or give --seconds"):
        reference_cost.main(arguments)
    (tmp_path / ".store/notes").mkdir(parents=True)
    (tmp_path / ".store/notes/reference@cnn2.json").write_text('{"seconds": 240.0, "processors": []}')
    reference_cost.main(arguments)
    cost = json.loads((tmp_path / "cost.json").read_text())
    assert cost["seconds_per_model_and_epoch"] == 10.0  # 240 s for four models and six epochs
    assert cost["epoch"] == 50
    assert set(cost["free"]) == {"trajectory", "threshold"}
    assert cost["free"]["trajectory"]["tpr"] > cost["free"]["threshold"]["tpr"]
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_nonmembers_and_a_missing_epoch_are_refused(world, tmp_path):
    target, _, phis, _ = world
    few = np.arange(N) < N - 100
    with pytest.raises(UserError, match="non-members: got 100, allowed: at least 5000"):
        points(target, few, phis, 1.0)
    with pytest.raises(UserError):
        measure(tmp_path, "cnn2", 50, 1.0)
