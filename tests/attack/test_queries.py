"""More queries than one an example: their combination, which attacks use it, and what it finds where."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from privacy_report.attack import registry
from privacy_report.attack.intervals import advantage_p
from privacy_report.attack.queries import combined, models_combined
from privacy_report.attack.reference_checks import placebo_scores
from privacy_report.attack.reference_scores import lira, rmia, trajectory
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE, ONE_QUERY, counts
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import output_arrays
from privacy_report.training.memberships import halves
from stages.attack import main

QUERIES = 6
USE_ALL = {"threshold", "trajectory", "lira", "rmia", "placebo"}
ATTACKS = ["threshold", "threshold_entropy", "logistic", "trajectory", "lira", "rmia", "placebo"]


def log_p(phi):
    return -np.log1p(np.exp(-phi))


def test_the_combination_is_the_confidence_of_the_geometric_mean():
    phi = np.random.default_rng(0).normal(0, 5, (QUERIES, 200))
    p = (1 / (1 + np.exp(-phi))).prod(axis=0) ** (1 / QUERIES)
    np.testing.assert_allclose(combined(phi), np.log(p / (1 - p)), rtol=1e-8)
    np.testing.assert_allclose(combined(phi[:1]), phi[0], rtol=1e-12)
    np.testing.assert_array_equal(combined(phi[::-1]).round(12), combined(phi).round(12))


def test_the_combination_is_precise_where_p_nears_0_and_1():
    """Sure answers: the mean of 1 - p; hopeless ones: the mean of log p."""
    phi = combined(np.array([[800.0, -800.0, -700.0, 40.0, 30.0], [800.0, -600.0, 900.0, 50.0, 30.0]]))
    expected = [800.0, -700.0, -350.0, 40.0 + np.log(2) - np.log1p(np.exp(-10.0)), 30.0]
    np.testing.assert_allclose(phi, expected, rtol=1e-14)


def world(seed, gain, n=600, models=8):
    """(target's phi (queries, n), references' phi (models, queries, n), who trains on whom, is_member).

    A model that trained on an example is surer of it by `gain` at every query; what it is sure of anyway, and
    its errors, are in part the same for all queries, so that they are far from independent.
    """
    rng = np.random.default_rng([seed, int(10 * gain)])
    hardness = rng.normal(1.5, 2.0, n) + rng.normal(0, 0.7, (QUERIES, n))
    exposed = gain * rng.exponential(1.0, n)

    def says(knows):
        return hardness + exposed * knows + rng.normal(size=n) + rng.normal(size=(QUERIES, n))

    trains = halves(n, models, seed)
    is_member = rng.permutation(n) < n // 2
    phi = np.stack([says(trained) for trained in trains]).astype(np.float32)
    return says(is_member), says(np.zeros(n)), phi, trains, is_member


def curves(seed, gain):
    """Attack -> its curve with one query, and with all."""
    target, early, phi, trains, is_member = world(seed, gain)
    first_query, every = References(phi[:, 0], trains), References(models_combined(phi), trains)
    scores = {
        "threshold": (log_p(target[0]), log_p(combined(target))),
        "trajectory": (trajectory(target[0], early[:1]), trajectory(combined(target), combined(early)[None])),
        "rmia": (rmia(target[0], first_query), rmia(combined(target), every)),
        "lira": (lira(target[0], first_query), lira(combined(target), every)),
        "placebo": (placebo_scores(target[0], first_query), placebo_scores(combined(target), every)),
    }
    return {
        name: [roc_curve(attack_scores[is_member], attack_scores[~is_member]) for attack_scores in both]
        for name, both in scores.items()
    }


def test_where_nothing_leaks_more_queries_raise_no_more_alarms():
    """At 5% the chance of more than 21 alarms in 200 audits is below one in a thousand."""
    audits = [curves(seed, gain=0.0) for seed in range(200)]
    for name in audits[0]:
        for queries in (0, 1):
            alarms = sum(advantage_p(audit[name][queries]) <= 0.05 for audit in audits)
            assert alarms <= 21, (name, queries)


def gaussian_of_all_queries(target, phi, trains):
    """LiRA's own form: a mean vector per example and side, and one covariance per side."""
    densities = []
    for side in (trains, ~trains):
        counts = side.sum(axis=0)
        means = np.einsum("kqn,kn->nq", phi, side) / counts[:, None]
        away = np.concatenate(
            [model_phi[:, here].T - means[here] for model_phi, here in zip(phi, side, strict=True)]
        )
        covariance = away.T @ away / (counts - 1).sum()
        densities.append(multivariate_normal.logpdf(target.T - means, cov=covariance))
    return densities[0] - densities[1]


def test_lira_by_the_mean_of_log_p_finds_more_than_by_a_gaussian_of_all_queries():
    """With so few references as there are; see docs/attacks.md."""
    aucs = []
    for seed in range(24):
        target, _, phi, trains, is_member = world(seed, gain=0.5, n=2000)
        mean = lira(combined(target), References(models_combined(phi), trains))
        scores = mean, gaussian_of_all_queries(target, phi.astype(float), trains)
        aucs.append([roc_auc_score(is_member, attack_scores) for attack_scores in scores])
    gains = np.subtract(*np.transpose(aucs))
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_what_leaks_is_found_better_with_all_queries():
    audits = [curves(seed, gain=1.0) for seed in range(60)]
    for name in ("threshold", "trajectory", "rmia", "lira"):
        gains = np.array(
            [auc(every) - auc(first_query) for first_query, every in (audit[name] for audit in audits)]
        )
        assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains)), name
    aucs = np.array([auc(both["placebo"][1]) for both in audits])  # which knows no member
    assert abs(aucs.mean() - 0.5) < 4 * aucs.std(ddof=1) / np.sqrt(len(aucs))


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A world on disk: planted outputs and references, each with two further queries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    params = {"attacks": ATTACKS, "slices": ["entire"], "released": ["top", "label"]}
    params |= {
        "estimators": {"logistic": {"path": "sklearn.linear_model.LogisticRegression", "settings": {}}}
    }
    Path("params.yaml").write_text(yaml.safe_dump({"attack": params}))
    planted_world, rng = planted(), np.random.default_rng(0)
    write_target(planted_world)
    m = planted_world.n_member
    further = {}
    for epoch, logits in planted_world.checkpoints.items():
        phi = planted_world.phi(logits[None]) + rng.normal(0, 1, (2, len(planted_world.labels)))
        further[epoch] = phi.astype(np.float32)
        sides = {"member_query_phi": phi[:, :m], "nonmember_query_phi": phi[:, m:]}
        outputs = replace(planted_world.outputs(epoch), **{k: v.astype(np.float32) for k, v in sides.items()})
        write_arrays(f"data/score/cnn2/epoch_{epoch:04}.npz", output_arrays(outputs))
    phi = planted_world.phi(planted_world.references)
    every = np.stack([phi, *(phi + rng.normal(0, 1, phi.shape).astype(np.float32) for _ in range(2))], axis=1)
    write_references(Path("data/reference/cnn2"), planted_world.trains, {4: every})
    return planted_world, further, every


def rows():
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        return {(row["epoch"], row["attack"]): row for row in csv.DictReader(file)}


def test_the_stage_attacks_with_all_queries_and_shows_one_for_comparison(asked):
    planted_world, further, every = asked
    main(["cnn2"])
    with_all = rows()
    write_target(planted_world)
    write_references(Path("data/reference/cnn2"), planted_world.trains, {4: every[:, 0]})
    main(["cnn2"])
    alone = rows()
    numbers = ("auc", "auc_low", "advantage", "advantage_p", "tpr_at_1pct_fpr", "val_accuracy")
    for (epoch, attack), row in alone.items():
        once = with_all[epoch, f"{attack}_one_query" if f"{attack}_one_query" in ONE_QUERY else attack]
        same = [row[name] == once[name] for name in numbers]
        assert all(same) or attack == "placebo", attack  # it has no row with one query
    for attack in {name for _, name in alone}:
        row = with_all["6", attack]
        assert ("3 queries" in row["note"]) is (attack in USE_ALL), attack
        assert (row["auc"] != alone["6", attack]["auc"]) is (attack in USE_ALL), attack
    is_member = np.arange(len(planted_world.labels)) < planted_world.n_member
    phi = {
        e: np.vstack([planted_world.phi(x[None]), further[e]]).astype(float)
        for e, x in planted_world.checkpoints.items()
    }
    mean = {epoch: log_p(epoch_phi).mean(axis=0) for epoch, epoch_phi in phi.items()}
    reference = np.log(np.exp(log_p(every.astype(float)).mean(axis=1)).mean(axis=0))
    expected = {"threshold": mean[6], "trajectory": mean[6] - mean[2], "rmia": mean[6] - reference}
    for attack, scores in expected.items():
        by_hand = roc_auc_score(is_member, scores)
        assert float(with_all["6", attack]["auc"]) == pytest.approx(by_hand, abs=1e-6), attack
    assert with_all["6", "rmia_one_query"]["note"].startswith("1 query of 3, which does not count")


def test_one_query_counts_for_nothing_and_cannot_be_chosen(asked):
    main(["cnn2"])
    made = {attack for _, attack in rows()}
    assert set(ONE_QUERY) <= made
    for released in (None, "logits", "probabilities", "label"):
        assert not any(counts(attack, released) for attack in ONE_QUERY)
    assert counts("rmia", None)
    assert not set(ONE_QUERY) & set(registry.known(registry.DEFAULT))
    with open("data/attack/cnn2/roc.csv", newline="") as file:
        assert not set(ONE_QUERY) & {row["attack"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("side", "shape", "words"),
    [
        ("member", (2, 59), r"member_query_phi must be finite floats of shape \(queries - 1, 60\)"),
        ("member", None, "member_query_phi must be finite floats .* got none"),
        ("nonmember", (3, 60), "member_query_phi and nonmember_query_phi have 2 and 3 queries"),
    ],
)
def test_queries_of_other_examples_are_refused(asked, side, shape, words):
    outputs = replace(asked[0].outputs(6))
    arrays = {f"{prefix}_query_phi": np.zeros((2, 60), np.float32) for prefix in ("member", "nonmember")}
    arrays[f"{side}_query_phi"] = None if shape is None else np.zeros(shape, np.float32)
    with pytest.raises(UserError, match=words):
        replace(outputs, **arrays)


def test_entire_is_the_only_slice_of_a_comparison(asked):
    text = Path("params.yaml").read_text().replace("- entire", "- entire\n  - class")
    Path("params.yaml").write_text(text)
    main(["cnn2"])
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        pairs = {(row["attack"], row["slice"]) for row in csv.DictReader(file)}
    assert {where for attack, where in pairs if attack in ONE_QUERY} == {ENTIRE}
    assert ("threshold", "class=0") in pairs
