"""The card of a shipped model: its numbers are those of the tables, and without a file it says why."""

import pytest
from claims import claimed

from privacy_report.gate.card import Shipped, card
from privacy_report.gate.policy import Evidence, verdict_on
from privacy_report.gate.schema import Policy

LIMITS = {"max_advantage": 0.1}
ABOUT = {
    "name": "digits", "shape": [32, 32, 1], "dtype": "uint8", "n_classes": 2, "class_names": ["cat", "dog"],
    "n_member": 50_000, "n_nonmember": 10_000, "digest": "d1935", "duplicates": 3,
}  # fmt: skip
SECTION = {"label": "Two Layers", "epochs": 4, "seed": 0}
FILE = Shipped("cnn2.keras", "5ba256", 1000, 0.0)


@pytest.fixture
def tables(rows):
    """Epoch 2 passes, epoch 4 does not; an outputs-only attack and one with references at each."""
    table = []
    for epoch, advantage in ((2, 0.03), (4, 0.3)):
        for attack, more in (("threshold", 0.0), ("rmia", 0.01)):
            cells = {"auc": 0.5 + advantage + more, "auc_low": 0.5, "auc_high": 0.9}
            cells |= {"accuracy": 0.8125, "epsilon_fixed_split": 0.25}
            table += rows(epoch, attack, advantage=advantage + more, **cells)
    return table


def judged(tables, limits, epsilon=None, public_seed=False, twin=False):
    rows = [row | {"leaks": "no"} for row in tables if row["half"] == "select"]
    evidence = Evidence(tables, rows, claimed(epsilon), dict.fromkeys((2, 4), 8), public_seed, twin=twin)
    return verdict_on("cnn2", Policy(limits), evidence)


def text(tables, limits, shipped, epsilon=None, public_seed=False):
    verdict = judged(tables, limits, epsilon, public_seed)
    return card("cnn2", SECTION, verdict, tables, claimed(epsilon), ABOUT, "`c0ffee`", shipped)


def test_a_card_says_what_the_tables_say(tables):
    page = text(tables, LIMITS, FILE)
    assert "# Two Layers (`cnn2`)\n\ncnn2: passes at epoch 2; no leak detected" in page
    assert "`cnn2.keras`, SHA-256 `5ba256`" in page
    assert "uint8 (n, 32 x 32 x 1)" in page
    assert "bit for bit in the 1000 examples" in page
    assert "| 0.8125 / 0.7000 |" in page
    assert "| outputs only | `threshold` | 0.5300 (0.5000-0.9000) | 0.0300 (0.0000-0.0500) | 0.0150" in page
    assert "| outputs, reference models | `rmia` | 0.5400" in page
    assert "| outputs, early checkpoints | not measured |" in page
    assert "- advantage on the entire dataset at most 0.1\n" in page
    assert "The other half confirms the choice" in page
    for word in ("`d1935`", "`c0ffee`", "| non-members that equal a member | 3 |", "dvc repro ship@cnn2"):
        assert word in page
    assert "none, it was not trained privately" in page
    assert "## Differential privacy" not in page


def test_a_card_says_what_is_claimed_and_what_the_claim_does_not_cover(tables):
    page = text(tables, LIMITS, FILE, 7.734)
    assert "| claimed epsilon of differential privacy | 7.734 |" in page
    assert "Claimed: epsilon 7.73 at delta 1e-05 up to epoch 4, whichever of 2 checkpoints is chosen" in page
    assert "noise multiplier 0.7, clipping norm 1, 400 steps that draw each example with probability" in page
    assert "The claim does not cover:\n\n- the attacks' rates\n" in page


def test_a_card_says_where_the_file_differs_from_the_scores(tables):
    page = text(tables, LIMITS, Shipped("cnn2.keras", "5ba256", 1000, 2.5e-6))
    assert "by at most 2.5e-06 in 1000 examples" in page
    assert "bit for bit" not in page


def test_without_a_recommendation_the_card_says_why_and_shows_the_last_checkpoint(tables):
    page = text(tables, {"max_advantage": 0.01}, None)
    assert "cnn2: fails; " in page
    assert "none of 2 checkpoints passes (max_advantage is broken by up to" in page
    assert "No checkpoint passes the policy below (max_advantage is broken by up to" in page
    assert "at 2 checkpoints), so no model is shipped." in page
    assert "| completed epochs | 4 |" in page
    assert ".keras" not in page
    unjudged = text(tables, {"max_epsilon": 8.0}, None, 7.734, public_seed=True)
    assert "- `max_epsilon` cannot be judged: the seed is public" in unjudged
    assert "| 7.734, void for anyone who knows the noise seed, which is committed |" in unjudged


def test_without_a_confirmation_the_card_says_what_stands_against_it(tables):
    worse = [
        row | ({"advantage_high": 0.2} if row["half"] == "report" and row["epoch"] == 2 else {})
        for row in tables
    ]
    page = text(worse, LIMITS, None)
    assert "cnn2: fails at epoch 2, NOT CONFIRMED" in page
    assert "the half of the examples that had no part in the choice, so no model is shipped." in page
    assert "- `max_advantage` 0.1 above 0.1\n" in page
    assert "The other half DOES NOT CONFIRM the choice." in page


def test_a_twin_is_never_shipped(tables):
    verdict = judged(tables, LIMITS, twin=True)
    page = card("cnn2", SECTION, verdict, tables, None, ABOUT, "`c0ffee`", None)
    assert "An audit twin, trained with canaries, is never shipped." in page
    assert "No checkpoint keeps" not in page


def test_a_card_where_no_attack_counts_for_the_release_has_the_accuracy(tables):
    rows = [row | {"leaks": "no"} for row in tables if row["half"] == "select"]
    verdict = verdict_on("cnn2", Policy(LIMITS, released="label"), Evidence(tables, rows, None, {2: 8, 4: 8}))
    page = card("cnn2", SECTION, verdict, tables, None, ABOUT, "`c0ffee`", None)
    assert "cannot be judged" in page
    assert "| 0.8125 / 0.7000 |" in page
