"""Audit twins: who is whose, what the gate takes from them, and that they are never shipped."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from claims import claimed
from written import written_row

from privacy_report.commands import gate as gate_command
from privacy_report.errors import UserError
from privacy_report.gate.check import path_of
from privacy_report.gate.twins import EXAMPLES, GRADIENTS, audited_by, counting_twin, twin_of
from privacy_report.gate.words import line
from privacy_report.pipeline import claim
from privacy_report.pipeline.contract import (
    CANARIES,
    CANARY_COLUMNS,
    ENTIRE,
    HALVES_COLUMNS,
    HISTORY_COLUMNS,
    PRIVACY_COLUMNS,
    with_ends,
)
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.tables import read_rows, where, write_table
from privacy_report.report import curves
from privacy_report.report.claims import check_one_run
from privacy_report.report.differential_privacy import axis
from privacy_report.report.study import Study
from stages.gate import main

COINS = {"count": 1200, "kind": "mislabelled", "seed": 0}
SECTIONS = {
    "plain": {"label": "A", "epochs": 4, "canaries": None},
    "longer": {"label": "B", "epochs": 6, "canaries": None},
    "twin": {"label": "C", "epochs": 4, "canaries": COINS},
}
WHITE = SECTIONS | {"white": SECTIONS["twin"] | {"canaries": COINS | {"kind": "gradient"}}}
"""With a twin whose canaries are gradients."""
TWINS = ("plain", "twin")
RULE = "max_canary_tpr_at_1pct_fpr"


def test_a_twin_differs_in_label_and_canaries_alone():
    assert twin_of("plain", SECTIONS) == "twin"
    assert twin_of("longer", SECTIONS) is None
    assert twin_of("twin", SECTIONS) == "twin"
    assert twin_of("seeded", SECTIONS | {"seeded": SECTIONS["plain"] | {"seed": 1}}) is None


def test_a_run_with_another_seed_has_a_twin_with_that_seed():
    """The twin repeats nothing: it differs in more than its seed."""
    again = {"again": SECTIONS["plain"] | {"seed": 1, "repeats": "plain"}}
    twin = {"its_twin": SECTIONS["twin"] | {"seed": 1, "repeats": None}}
    assert twin_of("again", SECTIONS | again) is None
    assert twin_of("again", SECTIONS | again | twin) == "its_twin"
    assert twin_of("plain", SECTIONS | again | twin) == "twin"


def test_a_variant_has_a_twin_of_each_kind_of_canaries():
    assert [twin_of("plain", WHITE, kind) for kind in (EXAMPLES, GRADIENTS)] == ["twin", "white"]
    assert [twin_of("white", WHITE, kind) for kind in (EXAMPLES, GRADIENTS)] == [None, "white"]
    assert [twin_of("twin", WHITE, kind) for kind in (EXAMPLES, GRADIENTS)] == ["twin", None]
    variants = ["longer", "plain"]
    assert [audited_by(name, WHITE, variants) for name in WHITE] == [None, None, "plain", "plain"]
    assert [counting_twin(name, WHITE) for name in WHITE] == ["white", None, "twin", "white"]
    assert counting_twin("plain", SECTIONS) == "twin"


@pytest.fixture
def project(tmp_path, monkeypatch, rows):
    """Two checkpoints of a variant and of its twin, where epoch 4 is more accurate and finds more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate_command, "refuse_stale", lambda: None)  # test_stale.py has a DVC project

    def write(limits, canaries=((2, 0.02), (4, 0.4)), sections=SECTIONS):
        limits = {"max_advantage": 0.5, "min_val_accuracy": None} | limits
        Path("params.yaml").write_text(yaml.safe_dump({"variants": sections, "gate": limits}))
        for variant in ("plain", "twin", "white"):
            table = [row for epoch in (2, 4) for row in rows(epoch, val_accuracy=0.6 + epoch / 100)]
            write_table(f"data/attack/{variant}/halves.csv", table, HALVES_COLUMNS)
            whole = [{name: row[name] for name in PRIVACY_COLUMNS} for row in table[::2]]
            if variant == "twin":
                whole += [canary(epoch, high) for epoch, high in canaries]
            write_table(f"data/attack/{variant}/privacy.csv", whole, PRIVACY_COLUMNS)
            write_json(f"data/attack/{variant}/references.json", {"models": 0})
            claim.write(claim.path_of(variant), None)
        one_run = {"epoch": 4, "epsilon_one_run": 2.34567, "epsilon_ceiling": 4.3}
        write_json("data/attack/twin/one_run.json", one_run)

    return write


def canary(epoch, high):
    cells = {"tpr_at_1pct_fpr": high - 0.01, "tpr_at_1pct_fpr_low": 0.0, "tpr_at_1pct_fpr_high": high}
    return written_row("threshold", ENTIRE, epoch=float(epoch), note="", **cells) | {"slice": CANARIES}


def verdict(variant):
    main([variant])
    return json.loads(path_of(variant).read_text())


def test_the_twins_canaries_decide_about_the_variant(project):
    project({RULE: None})
    assert verdict("plain")["recommended_epoch"] == 4
    project({RULE: 0.1})
    judged = verdict("plain")
    assert (judged["recommended_epoch"], judged["confirmed"]) == (2, "yes")
    (against,) = judged["failing"]
    assert (against["epoch"], against["rule"], against["slice"]) == (4, RULE, CANARIES)
    assert against["value"] == 0.4


def test_canaries_that_leak_are_in_the_scope_of_the_variant(project):
    project({RULE: None})
    scope = verdict("plain")["scope"]
    assert scope["tried"]["canaries"] == ["threshold"]
    assert {"attack": "threshold", "slice": CANARIES} in scope["leaks"]
    assert verdict("twin")["scope"]["leaks"] == scope["leaks"]
    project({RULE: None}, sections={"plain": SECTIONS["plain"]})
    alone = verdict("plain")["scope"]
    assert alone["tried"]["canaries"] == []
    assert {"attack": "threshold", "slice": CANARIES} not in alone["leaks"]
    assert alone["power"] == scope["power"]  # another model's rows do not count


def test_a_checkpoint_keeps_the_rule_only_if_all_before_it_do(project):
    project({RULE: 0.1}, canaries=((2, 0.3), (4, 0.02)))
    judged = verdict("plain")
    assert judged["verdict"] == "breaks the policy"
    assert [(failure["epoch"], failure["value"]) for failure in judged["failing"]] == [(2, 0.3), (4, 0.3)]
    assert judged["failing"][1]["reason"] == "0.2 above 0.1, at epoch 2"


def test_a_checkpoint_without_canaries_of_its_own_cannot_be_judged(project):
    project({RULE: 0.1}, canaries=((2, 0.02),))
    judged = verdict("plain")
    assert judged["recommended_epoch"] == 2
    assert judged["failing"][0]["reason"] == "cannot be judged: no audit twin has such a checkpoint"


def test_a_bound_above_0_is_a_leak_at_the_checkpoint_that_was_audited(project):
    audited = {"attack": "one-run audit", "slice": CANARIES}
    project({RULE: None})  # recommends the last, which was audited
    assert [audited in verdict(name)["scope"]["leaks"] for name in TWINS] == [True, True]
    assert "and the one-run audit" in line("plain", verdict("plain"))
    project({RULE: 0.1})  # recommends another
    assert [audited in verdict(name)["scope"]["leaks"] for name in TWINS] == [False, True]
    project({RULE: None})
    write_json("data/attack/twin/one_run.json", {"epoch": 4, "epsilon_one_run": 0.0})
    assert [audited in verdict(name)["scope"]["leaks"] for name in TWINS] == [False, False]


def test_all_numbers_of_a_metrics_file_are_of_one_epoch(project):
    project({RULE: 0.1})  # of the twin epoch 4 breaks it
    for name, epoch in (("plain", 2), ("twin", 4)):
        said = verdict(name)
        metrics = json.loads(Path(f"metrics/{name}.json").read_text())
        whole = where(read_rows(f"data/attack/{name}/privacy.csv"), slice=ENTIRE)
        table = {int(row["epoch"]): row for row in whole}
        assert metrics["epoch"] == said["scope"]["epoch"] == epoch
        assert metrics["val_acc"] == pytest.approx(table[epoch]["val_accuracy"], rel=1e-3)
        assert ("eps_audited" in metrics) == (epoch == 4)
        assert metrics["leak"] == ("yes" if said["scope"]["leaks"] else "no")
        assert f"leak detected at epoch {epoch}" in line(name, said)


def test_where_all_are_twins_there_is_nothing_to_judge(project):
    project({}, sections={"twin": SECTIONS["twin"]})
    verdict("twin")
    for _ in range(2):  # with data/gate, and by metrics/
        with pytest.raises(
            UserError, match=r"^variants: got twin, all with canaries .* nothing to judge[^\n]*$"
        ):
            main(["--check"])
        shutil.rmtree("data/gate", ignore_errors=True)


def test_the_worst_end_of_the_interval_counts(project):
    project({RULE: 0.395})
    assert verdict("plain")["recommended_epoch"] == 2


def test_a_variant_without_a_twin_cannot_keep_the_rule(project):
    project({RULE: 0.9}, sections={name: SECTIONS[name] for name in ("plain", "longer")})
    judged = verdict("plain")
    assert judged["verdict"] == "cannot be judged"
    assert judged["failing"][0]["reason"] == "cannot be judged: no audit twin has such a checkpoint"


def test_a_twin_is_judged_and_never_recommended(project, capsys):
    project({RULE: 0.1})
    judged = verdict("twin")
    assert judged["verdict"] == "audit"
    assert "recommended_epoch" not in judged
    assert [failure["epoch"] for failure in judged["failing"]] == [4]
    verdict("plain")
    sections = {name: SECTIONS[name] for name in ("plain", "twin")}
    Path("params.yaml").write_text(yaml.safe_dump({"variants": sections}))
    main(["--check"])  # exits with 0
    said = capsys.readouterr().out
    assert "twin: audit twin with canaries, never shipped; " in said
    assert "; 1 of 2 checkpoints passes; tried: outputs, canaries; " in said


def test_the_audit_of_a_twins_run_is_in_the_metrics_of_both_at_that_checkpoint(project):
    def audited(name):
        verdict(name)
        return json.loads(Path(f"metrics/{name}.json").read_text()).get("eps_audited")

    project({})  # recommends the last
    assert [audited(name) for name in TWINS] == [2.346, 2.346]
    project({RULE: 0.1})  # recommends another
    assert [audited(name) for name in TWINS] == [None, 2.346]
    project({}, sections={"plain": SECTIONS["plain"]})
    assert audited("plain") is None


def test_a_damaged_audit_is_one_line(project):
    project({})
    Path("data/attack/twin/one_run.json").write_text('{"epoch": 4, "eps')
    with pytest.raises(
        UserError, match=r"^data/attack/twin/one_run\.json: damaged; `dvc repro attack@twin` writes it$"
    ):
        main(["plain"])


def test_next_to_a_claim_the_audit_of_the_last_epoch_counts_at_any_checkpoint(project):
    project({RULE: 0.1})  # recommends epoch 2, where the audit is of epoch 4
    claim.write(claim.path_of("plain"), claimed(8.0))
    verdict("plain")
    metrics = json.loads(Path("metrics/plain.json").read_text())
    assert (metrics["epoch"], metrics["epsilon"], metrics["eps_audited"]) == (2, 8.0, 2.346)


@pytest.mark.parametrize("bound", [0.5, 3.5])  # below and above that of the examples
def test_the_audit_by_gradients_counts_where_there_is_one_and_is_no_leak(project, bound):
    project({}, sections=WHITE)
    white = {"epoch": 4, "epsilon_one_run": bound, "epsilon_one_run_fdp": 4.0, "epsilon_ceiling": 5.0}
    write_json("data/attack/white/one_run.json", white)
    metrics = {}
    for name in ("plain", "twin", "white"):
        leaks = verdict(name)["scope"]["leaks"]
        assert ({"attack": "one-run audit", "slice": CANARIES} in leaks) == (name != "white")
        metrics[name] = json.loads(Path(f"metrics/{name}.json").read_text())
    assert {name: numbers["eps_audited"] for name, numbers in metrics.items()} == {
        "plain": bound,
        "twin": 2.346,
        "white": bound,
    }
    study = Study()
    assert [study.one_run(name)["epsilon_one_run"] for name in metrics] == [bound, 2.34567, bound]
    marks = axis(study, "plain", 8.0)
    assert [mark.value for mark in marks] == [8.0, bound, 4.0, 5.0, 2.34567, 4.3]
    assert [mark.name.split(":")[0] for mark in marks] == ["claimed", *3 * ["white box"], *2 * ["black box"]]
    assert marks[3].place == pytest.approx(98 * 5 / 8)


def test_git_keeps_the_audit_by_gradients_without_an_attack_on_outputs(project):
    project({}, sections={"white": WHITE["white"]})
    audit = {"epoch": 4, "attack": "gradient", "epsilon_one_run": 2.0, "epsilon_ceiling": 5.0}
    write_json("data/attack/white/one_run.json", audit)
    verdict("white")
    (row,) = curves.canaries(Study())
    assert tuple(row) == CANARY_COLUMNS
    assert {name: row[name] for name in audit} == audit


def test_git_keeps_what_is_found_of_canaries_at_the_last_checkpoint(project):
    project({})
    for name in TWINS:
        verdict(name)
    (row,) = curves.canaries(Study())
    assert tuple(row) == CANARY_COLUMNS
    assert (row["epoch"], row["attack"]) == (4, "threshold")
    assert [row[name] for name in with_ends("tpr_at_1pct_fpr")] == pytest.approx([0.39, 0.0, 0.4])
    assert (row["epsilon_one_run"], row["epsilon_ceiling"]) == (2.34567, 4.3)


@pytest.mark.parametrize(
    ("kind", "seed", "bound", "stops"),
    [
        ("mislabelled", "secret", 2.0, True),
        ("mislabelled", "secret", 0.9, False),
        ("mislabelled", "committed", 2.0, False),
        ("gradient", "secret", 2.0, True),
        ("gradient", "committed", 2.0, True),
        ("gradient", "committed", 0.9, False),
    ],
)
def test_a_bound_above_the_claim_stops_the_report(project, kind, seed, bound, stops):
    """Of examples with secret noise alone, of gradients always."""
    own = {"privacy": {"delta": 1e-5, "seed": seed}, "canaries": {"count": 20, "kind": kind, "seed": 0}}
    project({}, sections={"twin": SECTIONS["twin"] | own})
    history = [
        dict.fromkeys(HISTORY_COLUMNS) | {"variant": "twin", "epoch": i, "epsilon": i / 4} for i in (2, 4)
    ]
    write_table("data/train/twin/history.csv", history, HISTORY_COLUMNS)
    write_json("data/attack/twin/one_run.json", {"epoch": 4, "epsilon_one_run": bound})
    if not stops:
        check_one_run(Study())
        return
    with pytest.raises(
        UserError, match=r"^twin, epoch 4: its canaries show epsilon >= 2\.000 .* claims 1\.000"
    ):
        check_one_run(Study())
