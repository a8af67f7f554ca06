"""What outputs say about themselves before any attack, where the truth is known."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from audited import arrays
from scipy import stats

from privacy_report.audits.api import audit
from privacy_report.audits.checks import check_outputs, shared
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline import blocks
from privacy_report.pipeline.outputs import Outputs

SIDES = ("member", "nonmember")
QUICKLY = ["--attacks", "threshold", "--slices", "entire"]


def drawn(rng, n_member=200, n_nonmember=120, n_classes=4, skill=2.0, coarse=None):
    """Outputs of a model that has learned nothing of its members alone."""
    n = n_member + n_nonmember
    labels, logits = rng.integers(0, n_classes, n), rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += skill
    logits = logits if coarse is None else np.round(logits * coarse) / coarse
    return Outputs(logits[:n_member], labels[:n_member], logits[n_member:], labels[n_member:])


def suspected(make, draws=400):
    """Kind of fault -> share of draws in which it is suspected."""
    counts = Counter()
    for seed in range(draws):
        counts.update(check_outputs(make(np.random.default_rng(seed))).warnings().keys())
    return {kind: count / draws for kind, count in counts.items()}


MOST = stats.binom.ppf(0.999, 400, 0.025) / 400
"""Share of 400 draws that a test at 2.5% exceeds in one of a thousand runs."""


@pytest.mark.parametrize("make", [drawn, lambda rng: drawn(rng, coarse=2), lambda rng: drawn(rng, 30, 20, 2)])
def test_sound_outputs_are_hardly_ever_suspected(make):
    assert all(share <= MOST for share in suspected(make).values())


def test_outputs_at_chance_are_nearly_always_found():
    shares = suspected(lambda rng: drawn(rng, skill=0.0))
    assert shares["chance members"] >= 1 - MOST
    assert shares["chance non-members"] >= 1 - MOST


def test_three_shared_rows_among_many_are_found():
    def make(rng):
        outputs = drawn(rng, 1000, 200)
        outputs.nonmember_logits[:3] = outputs.member_logits[:3]
        return outputs

    assert suspected(make, 20)["equal"] == 1


def test_the_deviations_are_those_of_shuffled_labels():
    """The oracle draws the orders of the labels."""
    rng = np.random.default_rng(3)
    outputs = drawn(rng, 50, 50, 3, skill=1.0)
    side = check_outputs(outputs).member
    exp = np.exp(outputs.member_logits)
    probs, predicted = exp / exp.sum(axis=1, keepdims=True), outputs.member_logits.argmax(axis=1)
    orders = [rng.permutation(outputs.member_labels) for _ in range(20_000)]
    accuracies = np.array([(predicted == order).mean() for order in orders])
    of_labels = np.array([probs[np.arange(50), order].sum() for order in orders])
    assert side.accuracy == (predicted == outputs.member_labels).mean()
    assert side.by_chance == pytest.approx(accuracies.mean(), abs=0.002)
    deviations = (side.accuracy - accuracies.mean()) / accuracies.std()
    assert side.predictions_fit == pytest.approx(deviations, rel=0.03)
    own = probs[np.arange(50), outputs.member_labels].sum()
    assert side.outputs_fit == pytest.approx((own - of_labels.mean()) / of_labels.std(), rel=0.03)


def test_non_members_p_is_that_of_fisher():
    check = check_outputs(drawn(np.random.default_rng(1), 60, 40, skill=1.0))
    member, nonmember = check.member, check.nonmember
    table = [
        [nonmember.correct, nonmember.n - nonmember.correct],
        [member.correct, member.n - member.correct],
    ]
    assert check.better_p == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)


def test_shared_rows_by_hand():
    assert shared(np.arange(5), np.arange(5, 9)) == (0, 1.0)
    equal, p = shared(np.arange(10), np.array([0, 1, 2, 20, 21]))  # three pairs, each on both sides
    assert equal == 3
    assert p == pytest.approx((1 - (45 + 10) / 105) ** 3)
    assert shared(np.zeros(7, int), np.zeros(4, int)) == (4, 1.0)  # saturated alike


def test_blocks_change_nothing(monkeypatch):
    outputs = drawn(np.random.default_rng(0))
    whole = check_outputs(outputs)
    monkeypatch.setattr(blocks, "ELEMENTS", 40)
    parts = check_outputs(outputs)
    assert parts.member.outputs_fit == pytest.approx(whole.member.outputs_fit, rel=1e-12)
    assert (parts.member.correct, parts.equal_rows) == (whole.member.correct, whole.equal_rows)


def test_a_rare_class_that_is_never_predicted_is_at_chance_but_fits():
    """95% of one class: the accuracy says nothing, the probabilities do."""
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.05).astype(int)
    logits = np.stack([np.full(3000, 6.0), rng.normal(size=3000) + 1.5 * labels], axis=1)
    side = check_outputs(Outputs(logits[:2000], labels[:2000], logits[2000:], labels[2000:])).member
    assert side.accuracy == side.by_chance == pytest.approx(0.95, abs=0.02)
    assert side.predictions_fit == 0
    assert side.outputs_fit > 5


def test_one_example_a_side_and_one_class_cannot_be_told_from_chance():
    outputs = Outputs(np.eye(2)[:1], np.zeros(1, int), np.eye(2)[1:], np.zeros(1, int))
    check = check_outputs(outputs)
    assert set(check.warnings()) == {"chance members", "chance non-members"}
    assert not check.member.constant


def swapped(values):
    return {
        f"{a}_{what}": values[f"{b}_{what}"]
        for a, b in (("member", "nonmember"), ("nonmember", "member"))
        for what in ("logits", "labels")
    }


def overlapping(values):
    values = {name: array.copy() for name, array in values.items()}
    for what in ("logits", "labels"):
        values[f"nonmember_{what}"][:30] = values[f"member_{what}"][100:130]
    return values


RNG = np.random.default_rng(5)
LABELS = arrays()["member_labels"]
ODD = {
    "random labels": (
        lambda v: v | {"member_labels": RNG.integers(0, 3, 600), "nonmember_labels": RNG.integers(0, 3, 300)},
        ["accuracy of members, .* is at chance: .*is the order", "accuracy of non-members, .* is at chance"],
    ),
    "next class": (
        lambda v: v | {f"{side}_labels": (v[f"{side}_labels"] + 1) % 3 for side in SIDES},
        ["members, .* is below chance", "non-members, .* is below chance"],
    ),
    "shuffled labels": (
        lambda v: v | {"member_labels": RNG.permutation(LABELS)},
        ["accuracy of members, .* is at chance: .*only this side's labels fit no better than chance"],
    ),
    "swapped": (lambda v: swapped(arrays(shift=2.0)), ["non-members are classified better than members"]),
    "overlap": (overlapping, ["30 of 300 non-members have exactly the outputs of a member"]),
    "constant": (
        lambda v: v | {"nonmember_logits": np.ones((300, 3))},
        ["outputs of non-members are constant: all 300 rows are the same"],
    ),
    "constant on both sides": (
        lambda v: {k: np.zeros((300, 3)) if "logits" in k else a[:300] for k, a in v.items()},
        ["outputs of members are constant", "outputs of non-members are constant"],
    ),
    "nothing": (lambda v: v, []),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_warned_of_on_stderr_in_the_summary_and_on_the_page(
    tmp_path, monkeypatch, capsys, case
):
    monkeypatch.chdir(tmp_path)
    spoil, said = ODD[case]
    np.savez("m.npz", **spoil(arrays()))
    main(["m.npz", *QUICKLY])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: m.npz: ")]
    summary = json.loads(Path("audit/summary.json").read_text())
    assert len(summary["warnings"]) == len(lines) == len(said)
    for warning, line, words in zip(summary["warnings"], lines, said, strict=True):
        assert line == f"warning: {warning}"
        assert re.search(words, warning), warning


def test_the_page_has_the_warnings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("max_advantage: 1.0\nmin_val_accuracy: null\n")
    for name, values in {"odd": overlapping(arrays()), "sound": arrays()}.items():
        np.savez(f"{name}.npz", **values)
        main([f"{name}.npz", *QUICKLY, "--gate", "p.yaml", "--html", f"{name}.html"])
    assert "Warning:" not in Path("sound.html").read_text()
    (line,) = [line for line in Path("odd.html").read_text().splitlines() if "Warning:" in line]
    assert "odd.npz: 30 of 300 non-members have exactly the outputs of a member" in line


def test_the_header_says_what_was_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("m.npz", **overlapping(arrays()))
    main(["m.npz", *QUICKLY])
    head = capsys.readouterr().out.splitlines()[:4]
    values = overlapping(arrays())
    right = [(values[f"{s}_logits"].argmax(1) == values[f"{s}_labels"]) for s in SIDES]
    assert head[0] == "Membership inference: m"
    assert head[1].startswith(f"members:     600, accuracy {right[0].mean():.3f} (")
    assert head[2].startswith(f"non-members: 300, accuracy {right[1].mean():.3f} (")
    assert head[3] == "rows equal on both sides: 30; constant outputs: none"
    given = json.loads(Path("audit/summary.json").read_text())["input"]
    low, high = stats.binomtest(int(right[0].sum()), 600).proportion_ci(method="exact")
    assert given["members"]["accuracy_low"] == pytest.approx(low)
    assert given["members"]["accuracy_high"] == pytest.approx(high)
    assert (given["epoch"], given["equal_rows"], given["nonmembers"]["n"]) == (1, 30, 300)


def test_each_warning_is_said_once_for_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    for epoch in (1, 2, 3):
        values = arrays(seed=0) if epoch == 1 else overlapping(arrays(seed=0))
        values |= {"nonmember_labels": arrays(seed=0)["nonmember_labels"]}
        values["member_logits"] = values["member_logits"] + np.float32(epoch)
        values["nonmember_logits"] = values["nonmember_logits"] + np.float32(epoch)
        np.savez(f"run/epoch_{epoch}.npz", **values)
    main(["run", *QUICKLY])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: run/epoch_3.npz: 30 of 300 non-members")
    assert line.endswith("(2 of 3 checkpoints)")


def test_python_warns_and_refuses_as_the_command():
    values = swapped(arrays(shift=2.0))
    sides = [[values[f"{side}_{what}"] for what in ("logits", "labels")] for side in SIDES]
    with pytest.warns(UserWarning, match="mine: non-members are classified better"):
        audited = audit(*sides[0], *sides[1], attacks=["threshold"], name="mine")
    assert len(audited.attacked.warnings) == 1
    with pytest.raises(UserError, match="mine: the outputs of members and non-members are the same 300 rows"):
        audit(*sides[0], *sides[0], name="mine")
