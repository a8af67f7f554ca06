"""What `attack_checkpoint` hands on: seeds, delta and base rates reach the numbers that they decide."""

from dataclasses import replace

import numpy as np
import pytest

from privacy_report.attack.checkpoint import attack_outputs as attack_checkpoint
from privacy_report.attack.exposure import membership_probability
from privacy_report.attack.schema import AttackParams as Attack
from privacy_report.attack.schema import Estimator
from privacy_report.attack.signals import pool
from privacy_report.attack.slices import Group
from privacy_report.audits.attacks import default_estimators
from privacy_report.pipeline.outputs import Outputs


def loss(logits, labels):
    logits = logits.astype(float)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def best_ppv(members, nonmembers):
    """Largest tp / (tp + fp) over thresholds: the counts have the base rate in them."""
    best = len(members) / (len(members) + len(nonmembers))
    for threshold in np.unique(members):
        tp, fp = np.sum(members >= threshold), np.sum(nonmembers >= threshold)
        if tp > 1e-3 * len(members) or fp > 1e-3 * len(nonmembers):
            best = max(best, tp / (tp + fp))
    return best


@pytest.mark.parametrize(("n_member", "n_nonmember"), [(900, 300), (300, 900)])
def test_ppv_has_the_base_rate_of_its_slice(outputs, n_member, n_nonmember):
    drawn = outputs(n_member, n_nonmember, shift=1.0)
    # Coarse, so that non-members have the highest score, too: of members alone the PPV is 1 at any rate.
    member, nonmember = (
        np.clip(np.round(logits), 0, 2) for logits in (drawn.member_logits, drawn.nonmember_logits)
    )
    some = replace(drawn, member_logits=member, nonmember_logits=nonmember)
    rows = attack_checkpoint(some, Attack(attacks=["threshold"]), with_halves=False).rows
    sides = [(some.member_logits, some.member_labels), (some.nonmember_logits, some.nonmember_labels)]
    for row in rows:
        kept = [int(row["slice"][-1])] if row["slice"].startswith("class=") else range(4)
        members, nonmembers = (-loss(logits, labels)[np.isin(labels, kept)] for logits, labels in sides)
        assert (row["n_member"], row["n_nonmember"]) == (len(members), len(nonmembers))
        assert row["ppv"] == pytest.approx(best_ppv(members, nonmembers), abs=1e-12)
        assert n_member / (n_member + n_nonmember) < row["ppv"] < 1


def two_valued(n_member, n_nonmember, rightly, wrongly=0):
    """Logits of which `rightly` members and `wrongly` many non-members stand out, and nobody else does."""

    def side(n, out):
        logits = np.zeros((n, 2), np.float32)
        logits[:out, 0] = 5.0
        return logits, np.zeros(n, np.int32)

    return Outputs(*side(n_member, rightly), *side(n_nonmember, wrongly))


def test_ppv_counts_people_and_no_rates():
    """40 of 60 that stand out are members; the rates alone, 40 of 800 and 20 of 100, would say a fifth."""
    some = two_valued(800, 100, rightly=40, wrongly=20)
    row = attack_checkpoint(some, Attack(attacks=["threshold"], slices=["entire"]), with_halves=False).rows[0]
    assert row["ppv"] == pytest.approx(800 / 900)  # accusing everybody is right more often
    some = two_valued(100, 800, rightly=40, wrongly=20)
    row = attack_checkpoint(some, Attack(attacks=["threshold"], slices=["entire"]), with_halves=False).rows[0]
    assert row["ppv"] == pytest.approx(40 / 60)


def test_epsilon_is_bounded_at_the_delta_of_the_config():
    """exp(epsilon) = (lowest TPR - delta) / highest FPR: linear in delta at one threshold."""
    some = two_valued(60, 3000, rightly=50)
    values = []
    for delta in (0.0, 0.004, 0.008):
        config = Attack(attacks=["threshold"], slices=["entire"], delta=delta)
        row = attack_checkpoint(some, config, with_halves=False).rows[0]
        values.append(np.exp(row["epsilon_fixed_split"]))
    assert values[0] > values[1] > values[2] > 1
    assert values[0] - values[2] == pytest.approx(2 * (values[0] - values[1]))
    # 2000 non-members or so measure, none of them above: Clopper-Pearson's highest FPR is 1 - 0.025^(1/n).
    highest = 0.004 / (values[0] - values[1])
    assert highest == pytest.approx(1 - 0.025 ** (1 / 2000), rel=0.05)


def test_the_seed_draws_who_compares_with_whom(outputs):
    """Membership probabilities come from the other half of the examples, drawn by the seed of the config."""
    some = outputs(400, 300, shift=0.5)
    config = {seed: Attack(attacks=["threshold"], slices=["entire"], seed=seed) for seed in (0, 1, 7)}
    probabilities = {
        seed: attack_checkpoint(some, config[seed], with_halves=False).probability for seed in config
    }
    assert not np.array_equal(probabilities[0], probabilities[1])
    for seed, probability in probabilities.items():
        np.testing.assert_array_equal(probability, membership_probability(pool(some), seed))


def test_every_slice_and_every_attack_draws_blocks_of_its_own(outputs):
    """One set of examples under two names, and one attacker under two names: four draws of blocks."""
    everyone = Group(tuple(range(400)), tuple(range(200)))
    logistic = Estimator(**default_estimators()["logistic"])
    config = Attack(
        attacks=["threshold", "one", "two"],
        slices=["entire", "group"],
        groups="groups.json",
        estimators={"one": logistic, "two": logistic},
    )
    some = outputs(400, 200, shift=0.5)
    rows = attack_checkpoint(some, config, {"same": everyone}, with_halves=False).rows
    aucs = {(row["attack"], row["slice"]): row["auc"] for row in rows}
    assert aucs["threshold", "entire dataset"] == aucs["threshold", "group=same"]
    trained = [value for (attack, _), value in aucs.items() if attack != "threshold"]
    assert len(set(trained)) == len(trained) == 4
