"""An audit of a file that marks canaries, or holds their scores alone: one_run.json, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted import planted

from privacy_report.attack.canaries import audit_coins
from privacy_report.attack.one_run import one_run
from privacy_report.attack.signals import Examples
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.outputs import output_arrays

RNG = np.random.default_rng(0)
COINS = RNG.random(400) < 0.5
SCORES = COINS + RNG.normal(size=400)
WORLD = planted(n_member=300, n_nonmember=300, gap=4.0)
BASE = output_arrays(WORLD.outputs(6))
MASKS = {name: RNG.random(300) < 0.5 for name in ("member_is_canary", "nonmember_is_canary")}
WITH_REFERENCES = BASE | {"reference_logits": WORLD.references, "reference_is_member": WORLD.trains}


@pytest.fixture
def run(tmp_path):
    """Audit arrays by the command; one_run.json."""

    def audited(arrays, *options):
        np.savez(tmp_path / "model.npz", **arrays)
        main(
            [str(tmp_path / "model.npz"), "--attacks", "threshold", "--out", str(tmp_path / "out"), *options]
        )
        return json.loads((tmp_path / "out/one_run.json").read_text())

    return audited


def test_scores_alone_are_enough(run, tmp_path, capsys):
    audited = run({"canary_scores": SCORES, "canary_is_member": COINS})
    assert set(audited) == {
        *("canaries", "guesses", "correct", "delta"),
        *("epsilon_one_run", "epsilon_one_run_fdp", "epsilon_ceiling"),
    }
    assert (audited["canaries"], audited["guesses"], audited["delta"]) == (400, 80, 1e-5)
    assert 0 < audited["epsilon_one_run"] < audited["epsilon_one_run_fdp"] < audited["epsilon_ceiling"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one_run.json"]
    said = " ".join(capsys.readouterr().out.split())
    assert f"Epsilon is at least {audited['epsilon_one_run']:.3f} at delta 1e-05" in said


def test_delta_and_guesses_are_what_was_asked(run):
    arrays = {"canary_scores": SCORES, "canary_is_member": COINS}
    audited = run(arrays, "--delta", "0", "--guesses", "40")
    assert (audited["guesses"], audited["delta"], audited["epsilon_one_run_fdp"]) == (40, 0, None)
    assert audited["epsilon_one_run"] == one_run(SCORES, COINS, 0.0, 40).epsilon_one_run


def test_marked_canaries_are_scored_by_their_loss(run, tmp_path):
    audited = run(BASE | MASKS)
    assert audited["canaries"] == sum(mask.sum() for mask in MASKS.values())
    assert audited["epsilon_one_run"] > 0
    assert (tmp_path / "out/privacy.csv").exists()
    other = {
        f"{a}_{what}": BASE[f"{b}_{what}"]
        for a, b in (("member", "nonmember"), ("nonmember", "member"))
        for what in ("logits", "labels")
    }
    assert run(other | MASKS)["epsilon_one_run"] == 0


def test_references_calibrate_the_scores(run):
    with_references, without = run(WITH_REFERENCES | MASKS), run(BASE | MASKS)
    assert with_references["correct"] > without["correct"]


def test_only_marked_examples_count(run):
    few = {name: mask & (np.arange(300) < 100) for name, mask in MASKS.items()}
    assert run(BASE | few)["canaries"] == sum(mask.sum() for mask in few.values())


def test_ties_tell_nothing_although_members_come_first():
    """All scores are equal and the file's order is that of the coins: half of the guesses are right."""
    examples = Examples(np.zeros((2000, 2)), np.zeros(2000, int), np.arange(2000) < 1000)
    audited = audit_coins(examples, 0.0)
    other = audit_coins(replace(examples, is_member=~examples.is_member), 0.0)
    assert audited.correct + other.correct == 400
    assert 170 < audited.correct < 230


def test_without_canaries_there_is_no_audit_of_coins(run, tmp_path):
    np.savez(tmp_path / "model.npz", **BASE)
    main([str(tmp_path / "model.npz"), "--attacks", "threshold", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out/one_run.json").exists()


BAD = {
    "scores without coins": ({"canary_scores": SCORES} | BASE, "canary_scores goes with canary_is_member"),
    "coins alone": ({"canary_is_member": COINS}, "needs exactly one of member_logits and member_probs"),
    "one mask": (
        BASE | {"member_is_canary": MASKS["member_is_canary"]},
        "member_is_canary goes with nonmember_is_canary, has only member_is_canary",
    ),
    "mask of numbers": (
        BASE | MASKS | {"member_is_canary": np.arange(300)},
        "member_is_canary must be bool, or 0 and 1, got 2",
    ),
    "mask of others": (
        BASE | MASKS | {"nonmember_is_canary": np.ones(299, bool)},
        r"nonmember_is_canary must be bool \(300,\), got bool \(299,\)",
    ),
    "both kinds": (
        BASE | MASKS | {"canary_scores": SCORES, "canary_is_member": COINS},
        "has canary_scores and member_is_canary, allowed: one of them",
    ),
    "a fixed split": (
        BASE | {"member_is_canary": np.ones(300, bool), "nonmember_is_canary": np.arange(300) < 50},
        "300 in and 50 out, allowed: by a fair coin each",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_canaries_are_one_line(run, tmp_path, case):
    arrays, said = BAD[case]
    with pytest.raises(UserError, match=said) as caught:
        run(arrays)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_guesses_need_canaries(run):
    with pytest.raises(UserError, match="--guesses"):
        run(BASE, "--guesses", "40")
