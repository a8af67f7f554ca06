import json
from pathlib import Path

import pytest
import yaml

from privacy_report.errors import UserError
from privacy_report.gate.check import VERDICTS
from privacy_report.pipeline.contract import HALVES_COLUMNS, HISTORY_COLUMNS
from privacy_report.pipeline.tables import write_table
from stages.gate import main


@pytest.fixture
def project(tmp_path, monkeypatch, rows):
    monkeypatch.chdir(tmp_path)

    def write(limit):
        params = {"variants": {"cnn2": {}, "cnn3": {}}, "gate": {"max_advantage": limit}}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        for variant, advantage in (("cnn2", 0.05), ("cnn3", 0.2)):
            table = rows(2, advantage=advantage)
            write_table(f"data/attack/{variant}/halves.csv", table, HALVES_COLUMNS)
            history = dict.fromkeys(HISTORY_COLUMNS) | {"variant": variant, "epoch": 2}
            write_table(f"data/train/{variant}/history.csv", [history], HISTORY_COLUMNS)

    return write


def test_check_tells_the_failing_variant(project, capsys):
    project(0.1)
    main([])
    with pytest.raises(SystemExit) as stopped:
        main(["--check"])
    assert stopped.value.code == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "cnn2: pass, epoch 2 (1 of 1 pass)"
    assert second == "cnn3: FAIL, none of 1 checkpoints passes (max_advantage fails at 1)"


def test_check_is_silent_about_success(project, capsys):
    project(0.3)
    main([])
    main(["--check"])
    assert "FAIL" not in capsys.readouterr().out


def test_check_needs_verdicts(project):
    with pytest.raises(UserError, match="no such file"):
        main(["--check"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"variants": {"cnn2"',
        "[]",
        "null",
        '{"policy": []}',
        '{"variants": {}}',
        '{"variants": null}',
        '{"variants": {"cnn2": {}}}',
        '{"variants": {"cnn2": null}}',
    ],
)
def test_damaged_verdicts_are_one_line(project, text):
    VERDICTS.parent.mkdir()
    VERDICTS.write_text(text)
    with pytest.raises(UserError, match=r"^metrics/gate\.json: (damaged|no verdict)[^\n]*$"):
        main(["--check"])


def test_rerun_writes_the_same_bytes(project):
    project(0.1)
    main([])
    first = Path("metrics/gate.json").read_bytes()
    main([])
    assert Path("metrics/gate.json").read_bytes() == first
    assert json.loads(first)["policy"] == [{"rule": "max_advantage", "limit": 0.1}]


def test_a_readable_handful_of_metric_rows(project):
    project(0.1)
    main([])
    verdicts = json.loads(Path("metrics/gate.json").read_text())["variants"]
    for verdict in verdicts.values():  # dvc shows numbers and strings, never lists
        assert sum(not isinstance(value, list) for value in verdict.values()) <= 18


def test_missing_halves_is_one_line(project):
    project(0.1)
    Path("data/attack/cnn3/halves.csv").unlink()
    with pytest.raises(UserError, match=r"data/attack/cnn3/halves\.csv: no such file"):
        main([])


def command(*options):
    from privacy_report.__main__ import main

    main(["gate", *options])


def test_the_command_judges_as_the_stage_does(project, capsys):
    project(0.3)
    main([])
    command()
    assert capsys.readouterr().out.splitlines() == [
        "cnn2: pass, epoch 2 (1 of 1 pass)",
        "cnn3: pass, epoch 2 (1 of 1 pass)",
    ]
    project(0.1)
    main([])
    with pytest.raises(SystemExit) as stopped:
        command()
    assert stopped.value.code == 1


def test_a_recommendation_that_is_not_confirmed_fails_unless_it_is_allowed(project, rows, capsys):
    project(0.3)
    table = rows(2, half="select") + rows(2, advantage=0.4, half="report")
    write_table("data/attack/cnn3/halves.csv", table, HALVES_COLUMNS)
    main([])
    for options, code in ((["--check"], 1), (["--check", "--allow-unconfirmed"], None)):
        if code is None:
            main(options)
        else:
            with pytest.raises(SystemExit) as stopped:
                main(options)
            assert stopped.value.code == code
        assert "cnn3: NOT CONFIRMED on the other half of the examples" in capsys.readouterr().out
