import contextlib
import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from claims import claimed

from privacy_report.commands import gate as gate_command
from privacy_report.errors import UserError
from privacy_report.gate.check import path_of, verdict_lines
from privacy_report.gate.inputs import public_seed, read_references, variant_names
from privacy_report.pipeline import claim
from privacy_report.pipeline.contract import HALVES_COLUMNS, PRIVACY_COLUMNS
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.tables import read_rows, write_table
from stages.gate import main

VARIANTS = ("cnn2", "cnn3")
LEAK, SCOPE = (
    "leak detected at epoch 2 by threshold (in 1 row)",
    "tried: outputs; not tried: reference models, canaries",
)


@pytest.fixture
def project(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate_command, "refuse_stale", lambda: None)  # test_stale.py has a DVC project

    def write(limit):
        params = {
            "variants": {"cnn2": {}, "cnn3": {}},
            "gate": {"max_advantage": limit, "min_val_accuracy": None},
        }
        Path("params.yaml").write_text(yaml.safe_dump(params))
        for variant, advantage in (("cnn2", 0.05), ("cnn3", 0.2)):
            table = rows(2, advantage=advantage)
            write_table(f"data/attack/{variant}/halves.csv", table, HALVES_COLUMNS)
            whole = [{name: row[name] for name in PRIVACY_COLUMNS} for row in table[:1]]
            write_table(f"data/attack/{variant}/privacy.csv", whole, PRIVACY_COLUMNS)
            write_json(f"data/attack/{variant}/references.json", {"models": 0})
            claim.write(claim.path_of(variant), None)

    return write


def gate():
    for variant in VARIANTS:
        main([variant])


def test_check_tells_the_failing_variant(project, capsys):
    project(0.1)
    gate()
    with pytest.raises(SystemExit) as stopped:
        main(["--check"])
    assert stopped.value.code == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"cnn2: passes at epoch 2; {LEAK}; 1 of 1 checkpoint passes; {SCOPE}"
    broken = "the only checkpoint fails (max_advantage is broken by 0.12 at 1 checkpoint)"
    assert second == f"cnn3: fails; {LEAK}; {broken}; {SCOPE}; what helps: docs/remedies.md"


def test_check_is_silent_about_success(project, capsys):
    project(0.3)
    gate()
    main(["--check"])
    assert "fails" not in capsys.readouterr().out


def test_params_with_a_conflict_are_one_line(project):
    project(0.3)
    Path("params.yaml").write_text("<<<<<<< HEAD\nvariants: {cnn2: {}}\n=======\n>>>>>>> other\n")
    with pytest.raises(UserError, match=r"^params\.yaml: needs a section `variants`; "):
        variant_names()


def test_an_unknown_variant_is_refused(project):
    project(0.3)
    with pytest.raises(UserError, match=r"^variant: got 'cnn4', allowed: cnn2, cnn3$"):
        main(["cnn4"])


def test_check_needs_a_verdict_on_every_variant(project):
    project(0.3)
    main(["cnn2"])
    with pytest.raises(UserError, match=r"^data/gate/cnn3\.json: no such file; `dvc repro gate@cnn3`"):
        main(["--check"])


@pytest.mark.parametrize(
    "text", ["", '{"verdict": "pa', "[]", "null", '{"policy": []}', '{"verdict": "pass"}']
)
def test_damaged_verdicts_are_one_line(project, text):
    project(0.3)
    gate()
    path_of("cnn2").write_text(text)
    with pytest.raises(UserError, match=r"^data/gate/cnn2\.json: damaged[^\n]*$"):
        main(["--check"])


@pytest.mark.parametrize("options", [[], ["cnn2", "--check"]])
def test_a_variant_or_check_is_asked_for(project, options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert "give a variant, or --check" in capsys.readouterr().err


def test_rerun_writes_the_same_bytes(project):
    project(0.1)
    gate()
    paths = [path_of("cnn2"), Path("metrics/cnn2.json")]
    first = [path.read_bytes() for path in paths]
    gate()
    assert [path.read_bytes() for path in paths] == first
    assert json.loads(first[0])["policy"] == [{"rule": "max_advantage", "limit": 0.1}]


def test_metrics_are_flat_and_few(project):
    project(0.1)
    gate()
    assert json.loads(Path("metrics/cnn2.json").read_text()) == {
        "verdict": "passes",
        "leak": "yes",
        "epoch": 2,
        "val_acc": 0.7,
        "advantage": 0.05,
        "tpr_1pct": 0.015,
    }
    failing = json.loads(Path("metrics/cnn3.json").read_text())
    assert (failing["verdict"], failing["advantage"]) == ("fails", 0.2)
    for value in failing.values():
        assert isinstance(value, str) or value == float(f"{value:.4g}")


def test_the_claim_is_the_same_whichever_checkpoint_is_chosen(project, rows):
    project(0.1)
    table = rows(2) + rows(4)
    write_table("data/attack/cnn3/halves.csv", table, HALVES_COLUMNS)
    claim.write(claim.path_of("cnn3"), claimed(1.25))
    whole = [{name: row[name] for name in PRIVACY_COLUMNS} for row in table[::2]]
    write_table("data/attack/cnn3/privacy.csv", whole, PRIVACY_COLUMNS)
    for advantage, word in ((0.05, "passes"), (0.9, "fails")):
        table = [row | {"advantage_high": advantage} for row in table]
        write_table("data/attack/cnn3/halves.csv", table, HALVES_COLUMNS)
        main(["cnn3"])
        metrics = json.loads(Path("metrics/cnn3.json").read_text())
        assert (metrics["verdict"], metrics["epsilon"]) == (word, 1.25)
        assert json.loads(path_of("cnn3").read_text())["claim"] == asdict(claimed(1.25)) | {
            "compared": [2, 4],
            "not_covered": ["the attacks' rates"],
        }
    claim.path_of("cnn3").unlink()
    with pytest.raises(UserError, match=r"^data/train/cnn3/claim\.json: missing or damaged; "):
        main(["cnn3"])


def test_references_are_those_of_the_checkpoints_that_they_attacked(project):
    project(0.1)
    path = "data/attack/cnn3/references.json"
    write_json(path, {"models": 16, "chosen_epochs": {"2": 2, "4": 2}})
    assert read_references("cnn3") == {2: 16, 4: 16}
    write_json(path, {"models": 0})
    assert read_references("cnn3") == {}


def test_what_was_not_measured_did_not_say_no(project):
    project(0.1)
    for table, columns in (("halves", HALVES_COLUMNS), ("privacy", PRIVACY_COLUMNS)):
        path = f"data/attack/cnn3/{table}.csv"
        empty = {"auc": math.nan, "advantage_high": math.nan, "leaks": ""}
        write_table(path, [row | empty for row in read_rows(path)], columns)
    main(["cnn3"])
    assert json.loads(Path("metrics/cnn3.json").read_text())["leak"] == "not measured"


def test_missing_halves_is_one_line(project):
    project(0.1)
    Path("data/attack/cnn3/halves.csv").unlink()
    with pytest.raises(UserError, match=r"data/attack/cnn3/halves\.csv: no such file"):
        main(["cnn3"])


@pytest.mark.parametrize("text", [None, "{}", "{", '{"models": "many"}', '{"models": 8}'])
def test_without_the_number_of_reference_models_there_is_no_verdict(project, text):
    project(0.1)
    path = Path("data/attack/cnn3/references.json")
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(UserError, match=r"^data/attack/cnn3/references\.json: missing or damaged"):
        main(["cnn3"])


def command(*options):
    from privacy_report.__main__ import main

    main(["gate", *options])


def test_the_command_judges_as_the_stage_does(project, capsys):
    project(0.3)
    gate()
    command()
    kept = f"passes at epoch 2; {LEAK}; 1 of 1 checkpoint passes; {SCOPE}"
    assert capsys.readouterr().out.splitlines() == [f"cnn2: {kept}", f"cnn3: {kept}"]
    project(0.1)
    gate()
    with pytest.raises(SystemExit) as stopped:
        command()
    assert stopped.value.code == 1


def test_a_recommendation_that_is_not_confirmed_fails_unless_it_is_allowed(project, rows, capsys):
    project(0.3)
    table = rows(2, half="select") + rows(2, advantage=0.4, half="report")
    write_table("data/attack/cnn3/halves.csv", table, HALVES_COLUMNS)
    gate()
    for options, code in ((["--check"], 1), (["--check", "--allow-unconfirmed"], None)):
        if code is None:
            main(options)
        else:
            with pytest.raises(SystemExit) as stopped:
                main(options)
            assert stopped.value.code == code
        assert "cnn3: fails at epoch 2, NOT CONFIRMED" in capsys.readouterr().out
    said = json.loads(path_of("cnn3").read_text())
    assert (said["verdict"], said["confirmed"]) == ("breaks the policy", "no")
    shutil.rmtree("data/gate")  # in a bare clone metrics/ says it
    with pytest.raises(SystemExit):
        main(["--check"])
    main(["--check", "--allow-unconfirmed"])


def test_an_empty_policy_is_none(project):
    project(None)
    with pytest.raises(UserError, match="there is no policy"):
        gate()


@pytest.mark.parametrize(("limit", "code"), [(0.3, None), (0.1, 1)])
def test_a_clone_without_data_is_judged_by_what_git_keeps(project, capsys, limit, code):
    project(limit)
    gate()
    shutil.rmtree("data")
    with contextlib.nullcontext() if code is None else pytest.raises(SystemExit) as stopped:
        main(["--check"])
    assert code is None or stopped.value.code == code
    assert "cnn2: passes at epoch 2; leak detected at epoch 2 (metrics/cnn2.json)" in capsys.readouterr().out
    Path("metrics/cnn3.json").write_text('{"verdict": "pass"}')
    with pytest.raises(UserError, match=r"^metrics/cnn3\.json: missing or damaged"):
        main(["--check"])


@pytest.mark.parametrize(
    ("privacy", "public"),
    [
        (None, False),
        ({"seed": "committed"}, True),
        ({}, False),
        ({"seed": "secret"}, False),
        ({"delta": 1}, True),
    ],
)
def test_whose_noise_is_public(project, privacy, public):
    project(0.3)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["variants"]["cnn2"] = {"privacy": privacy}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert public_seed("cnn2") is public


@pytest.mark.parametrize(
    ("word", "said", "passes", "passes_unconfirmed"),
    [
        ("passes", "passes at epoch 2", True, True),
        ("refuted", "fails at epoch 2, NOT CONFIRMED", False, True),
        ("fails", "fails", False, False),
        ("open", "cannot be judged", False, False),
        ("audit", "audit twin with canaries, never shipped", True, True),
    ],
)
def test_the_words_of_metrics_are_verdicts_in_a_clone(
    tmp_path, monkeypatch, word, said, passes, passes_unconfirmed
):
    monkeypatch.chdir(tmp_path)
    write_json("metrics/one.json", {"verdict": word, "leak": "no", "epoch": 2})
    write_json("metrics/two.json", {"verdict": "passes", "leak": "yes", "epoch": 3})
    for allow, passed in ((False, passes), (True, passes_unconfirmed)):
        lines, all_pass = verdict_lines(["one", "two"], allow)
        assert lines[0] == f"one: {said}; no leak detected at epoch 2 (metrics/one.json)"
        assert all_pass is passed
    write_json("metrics/two.json", {"verdict": "keeps the policy", "leak": "yes", "epoch": 3})  # of old
    with pytest.raises(UserError, match=r"^metrics/two\.json: missing or damaged; "):
        verdict_lines(["one", "two"])
