"""What page and terminal say of the verdict: scope, colours, seeds, one recommendation over all variants."""

import json
import math
import re
from pathlib import Path

import pytest
from report.conftest import read_page

from privacy_report.gate.words import BREAKS, KEEPS
from privacy_report.report import cards
from privacy_report.report.recommendation import recommendation
from privacy_report.report.study import Study
from privacy_report.report.study_files import merge
from stages.report import main

pytestmark = pytest.mark.usefixtures("unrasterised")


def merged(root: Path) -> Study:
    study = Study(root)
    merge("privacy", study.labels)
    return study


def test_the_most_accurate_that_keeps_the_policy_is_recommended_with_its_price(study):
    merged_study = merged(study(epochs=20, dp=("cnn3_dp",)))
    said = recommendation(merged_study)
    verdicts = {name: merged_study.verdict(name) for name in merged_study.labels}
    chosen = {name: (name, float(verdicts[name]["recommended_epoch"])) for name in verdicts}
    accuracies = {name: merged_study.entire[chosen[name]][0]["val_accuracy"] for name in verdicts}
    best = max(accuracies, key=accuracies.__getitem__)
    assert said.variant == best != "cnn3_dp"
    epoch, accuracy = verdicts[best]["recommended_epoch"], accuracies[best]
    assert said.say == (
        f"Ship {merged_study.labels[best]}, epoch {epoch}, with an accuracy of {accuracy:.3f}: "
        "the most accurate of 3 variants that pass the policy."
    )
    advantage, rate = (
        max(row[column] for row in merged_study.entire[chosen[best]])
        for column in ("advantage", "tpr_at_1pct_fpr")
    )
    assert said.leak == (
        f"A leak was detected in it. The strongest attacks reach an advantage of {advantage:.3f} "
        f"and find {100 * rate:.1f}% of the members at 1% FPR."
    )
    top = max(rows[0]["val_accuracy"] for rows in merged_study.entire.values())
    assert f"The policy costs {top - accuracy:.3f} of accuracy" in said.price
    lost = accuracy - accuracies["cnn3_dp"]
    epoch = verdicts["cnn3_dp"]["recommended_epoch"]
    lost = accuracy - accuracies["cnn3_dp"]
    assert (
        f"Differential privacy costs {lost:.3f} of accuracy: 3 Layers, DP, epoch {epoch}, claims"
        in said.price
    )


@pytest.mark.parametrize(
    ("accuracies", "chosen", "words"),
    [
        ({"cnn2": math.nan, "cnn3": 0.6}, "cnn3", "an accuracy of 0.600: the most accurate of 2 variants"),
        ({"cnn2": math.nan, "cnn3": math.nan}, "cnn2", "Ship 2 Layers, epoch 4: the first of 2 variants"),
    ],
)
def test_an_accuracy_that_is_not_known_is_not_the_best(study, monkeypatch, accuracies, chosen, words):
    """As of audits of scores."""
    merged_study = merged(study(epochs=4, variants=2))
    assert [*merged_study.labels] == [*accuracies]
    monkeypatch.setitem(recommendation.__globals__, "_accuracy", lambda _, name: accuracies[name])
    said = recommendation(merged_study)
    assert said.variant == chosen
    assert words in said.say


def test_checkpoints_that_fail_are_counted_once_a_rule_and_slice():
    rules = [{"rule": "max_advantage", "limit": 0.1}] + [
        {"rule": "max_advantage", "limit": 0.2, "slice": name} for name in ("class=1", "class=2")
    ]
    failing = [
        {"rule": "max_advantage", "slice": name, "epoch": epoch, "judged": judged}
        for name, epoch, judged in (
            ("class=1", 2, "yes"),
            ("class=1", 4, "no"),
            ("class=2", 2, "yes"),
            ("entire dataset", 4, "yes"),
            ("entire dataset", 4, "no"),
        )
    ]
    verdict = {"verdict": BREAKS, "checkpoints": 2, "passing": 0, "policy": rules, "failing": failing}
    words = "advantage"
    assert cards.why(verdict) == (
        f"Of 2 checkpoints: “{words} at most (on class=1) …” fails at 2 (cannot be judged at 1 of them); "
        f"“{words} at most (on class=2) …” fails at 1; “{words} on the entire dataset at most …” fails at 1."
    )


def test_the_earliest_is_chosen_where_no_accuracy_is_known():
    verdict = {"verdict": KEEPS, "checkpoints": 4, "passing": 3, "on_report_half": {"val_accuracy": None}}
    assert cards.why(verdict).startswith("The earliest, since no accuracy is known, among the 3 of 4")


@pytest.mark.parametrize(
    ("slices", "words"),
    [((), "No leak was"), (("canaries",), "Its canaries show"), (("canaries", "class=1"), "A leak was")],
)
def test_where_the_leak_is_is_said(study, slices, words):
    root = study(epochs=4, variants=1)
    path = root / "data/gate/cnn2.json"
    verdict = json.loads(path.read_text())
    verdict["scope"]["leaks"] = [{"attack": "threshold", "slice": name} for name in slices]
    path.write_text(json.dumps(verdict))
    assert recommendation(merged(root)).leak.startswith(words)


def test_what_is_not_confirmed_is_not_recommended(study):
    root = study(epochs=10, variants=1)
    path = root / "data/gate/cnn2.json"
    verdict = json.loads(path.read_text())
    finding = {"rule": "max_advantage", "reason": "0.1 above 0.1", "judged": "yes", "epoch": 4, "excess": 0.1}
    verdict |= {"verdict": "breaks the policy", "confirmed": "no", "against": [finding]}
    path.write_text(json.dumps(verdict))
    merged_study = merged(root)
    said = recommendation(merged_study)
    assert (said.variant, said.say) == (
        None,
        "Ship nothing. The variant does not pass the policy.",
    )
    assert "recommended" not in merged_study.shown("cnn2")
    main([])
    text = read_page()
    epoch = verdict["recommended_epoch"]
    assert f"Fails at epoch {epoch}, not confirmed; leak detected." in text
    assert "but not on the other: max_advantage (0.1 above 0.1)" in text


@pytest.mark.parametrize(
    ("gate", "colour", "said"),
    [
        ({}, "fair", "void for anyone who knows the noise seed, and the seed is public.</p>"),
        ({"max_epsilon": 8}, "fair", "The policy does not accept it."),
        ({"max_epsilon": 8, "allow_committed_seed": True}, "fair", "The policy accepts it all the same."),
        ({"max_epsilon": 0.1, "allow_committed_seed": True}, "bad", "The policy accepts it all the same."),
    ],
)
def test_a_public_seed_is_said_on_the_card(study, gate, colour, said):
    study(epochs=4, variants=0, dp=("cnn3_dp",), gate=gate)
    main([])
    text = read_page()
    assert re.findall(r'class="say (\w+)"', text) == [colour]
    assert said in text
    judged = "Cannot be judged; no leak detected at epoch 4." in text
    assert judged is (gate == {"max_epsilon": 8})


def test_green_where_reference_models_found_nothing(study):
    study(epochs=4, variants=0, dp=("cnn3_dp",), attacks=("threshold", "rmia"))
    main([])
    text = read_page()
    assert re.findall(r'class="say (\w+)"', text) == ["good"]
    assert "<strong>Not tried on it: canaries.</strong>" in text
    assert "Tried: outputs, 16 reference models.</p>" in text
    assert "No leak detected at epoch 4 (detectable: " in text


def test_kinds_that_did_not_try_everywhere_are_counted(study):
    root = study(epochs=4, attacks=("threshold", "rmia"))
    path = root / "data/gate/cnn2.json"
    verdict = json.loads(path.read_text())
    verdict["scope"]["tried"]["references"] = []
    path.write_text(json.dumps(verdict))
    assert cards.untried(Study(root)) == ["reference models on 1 of 2 variants", "canaries"]


def test_the_first_screen_says_who_tried_what_is_to_be_shipped(study):
    """Others were attacked more thoroughly, which says nothing about the one that is shipped."""
    root = study(epochs=10, attacks=("threshold", "rmia"))
    chosen = recommendation(merged(root)).variant
    path = root / f"data/gate/{chosen}.json"
    verdict = json.loads(path.read_text())
    verdict["scope"]["tried"]["references"] = []
    path.write_text(json.dumps(verdict))
    main([])
    text = read_page()
    said = "Attackers who tried it: outputs. <strong>Not tried on it: reference models, canaries.</strong>"
    assert said in text
    assert "<strong>Not tried: reference models on 1 of 2 variants, canaries.</strong>" in text
    row, *others = re.findall(r'<tbody id="row-(\w+)" class="[a-z ]*chosen"', text)
    assert (row, others) == (chosen, [])


def test_policies_that_differ_are_named(study):
    study(epochs=4, gate={"per_variant": {"cnn3": {"max_advantage": 0.5}}})
    main([])
    text = read_page()
    assert "The policy of 2 Layers: advantage on the entire dataset at most 0.1;" in text
    assert "The policy of 3 Layers: advantage on the entire dataset at most 0.5;" in text


def test_an_audit_twin_is_never_recommended_and_no_variant_to_choose_from(study, capsys):
    root = study(epochs=10, gate={"max_advantage": 0.0})
    path = root / "data/gate/cnn3.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": "audit"}))
    main([])
    assert recommendation(Study(root)).say == ("Ship nothing. The variant does not pass the policy.")
    text = read_page()
    assert "never shipped; leak detected at epoch 10.</strong>" in text
    assert "Its findings count for its variant." in text
    assert ": audit twin with canaries, never shipped; leak detected at epoch 10 by" in " ".join(
        capsys.readouterr().out.split()
    )


def test_audit_twins_alone_are_said_to_be_none_to_choose_from(study):
    root = study(epochs=4)
    for path in (root / "data/gate").iterdir():
        path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": "audit"}))
    said = "Ship nothing. All variants are audit twins, which are never shipped."
    assert recommendation(merged(root)).say == said
    main([])
    assert said in read_page()
