"""What an audit prints: ten lines or all, at every width, in a pipe; a bar for what takes longer."""

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from audited import arrays, run_of
from rich.console import Console
from sandbox import ROOT

from privacy_report.__main__ import main as entry
from privacy_report.audits import progress, terminal
from privacy_report.audits.models import QUICK, SLOWER, attack_model, models_at
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE, on_logits

WIDTHS = (80, 100, 160)
QUICKLY = ["--attacks", "threshold", "--slices", "entire"]
OPTIONS = {"slices": ["entire", "class"], "mode": "default", "seed": 0, "groups": None, "delta": None}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model with all default attacks, and a run of three checkpoints."""
    folder = tmp_path_factory.mktemp("world")
    np.savez(folder / "mine.npz", **arrays(shift=2.0, n_member=900, n_nonmember=600))
    run_of(folder / "run", epochs=(2, 10, 9))
    attacked = {}
    for model in models_at([folder / "mine.npz", folder / "run"]):
        attacks = None if model.name == "mine" else ["threshold_modified_entropy", "trajectory"]
        attacked[model.name] = attack_model(model, attacks, OPTIONS)
    return attacked


def printed(attacked, width, full=False):
    out = io.StringIO()
    terminal.tell(attacked, full, Console(file=out, width=width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def section(lines, title):
    """The lines of a table below its title, up to the next blank line."""
    start = next(i for i, line in enumerate(lines) if title in line)
    rest = lines[start + 1 :]
    return rest[: rest.index("")] if "" in rest else rest


@pytest.mark.parametrize("width", WIDTHS)
def test_one_row_an_attack_strongest_first_and_nothing_is_cut(world, width):
    lines = printed(world["mine"], width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    rows = on_logits(row for row in world["mine"].rows if row["slice"] == ENTIRE)
    shown = [
        line.split()
        for line in section(lines, "strongest attack first")
        if line.split()[0] in {*QUICK, *SLOWER}
    ]
    best = sorted(rows, key=lambda row: -row["auc"])
    assert [cells[0] for cells in shown] == [row["attack"] for row in best]
    for cells, row in zip(shown, best, strict=True):
        assert cells[1] == "outputs"
        assert cells[2:4] == [f"{row['auc']:.3f}", f"({row['auc_low']:.3f}-{row['auc_high']:.3f})"]
        assert f"{row['advantage']:.3f}" in cells[4:]
        tpr = row["tpr_at_1pct_fpr"]
        assert ("-" if tpr is None else f"{tpr:.3f}") in cells[4:]
        assert cells[-1] == row["leaks"]
        ends = f"({row['advantage_low']:.3f}-{row['advantage_high']:.3f})"
        assert (ends in cells) == (width >= terminal.WIDE)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_three_worst_classes_are_shown_once_each(world, width):
    lines = section(printed(world["mine"], width), "worst classes")
    shown = [line.split() for line in lines if line.startswith("class=")]
    assert len({cells[0] for cells in shown}) == len(shown) == 3
    for cells in shown:
        rows = [row for row in world["mine"].rows if row["slice"] == cells[0]]
        leaking = [row for row in rows if row["leaks"] == "yes"] or rows
        assert cells[1] == max(leaking, key=lambda row: row["auc"] or 0)["attack"]
    aucs = [float(cells[2]) for cells in shown]
    assert aucs == sorted(aucs, reverse=True)


def test_what_was_not_measured_is_a_few_counts(world):
    lines = printed(world["mine"], 160)
    counted = [line for line in lines if " rows: " in line]
    rows = world["mine"].rows
    needing = [row for row in rows if "no tpr_at_1pct_fpr" in row["note"]]
    assert f"{len(needing)} of {len(rows)} rows: no tpr_at_1pct_fpr: needs 500 scored non-members" in counted
    assert len(counted) < 5
    (line,) = [line for line in printed(world["run"], 160) if "no earlier checkpoint" in line]
    assert line == "4 of 24 rows: trajectory: not attacked: there is no earlier checkpoint of this run"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_folder_has_a_line_an_epoch(world, width):
    lines = printed(world["run"], width)
    assert max(map(len, lines)) <= width
    assert lines[0] == "Membership inference: run, 3 checkpoints, the last: epoch 10"
    shown = [line.split() for line in section(lines, "Each epoch") if line.split()[0].isdigit()]
    assert [cells[0] for cells in shown] == ["2", "9", "10"]
    assert [cells[2] for cells in shown] == ["threshold_modified_entropy", "trajectory", "trajectory"]
    assert [" ".join(cells[-3:]) for cells in shown] == ["0 of 1", "2 of 2", "2 of 2"]
    assert any(line.startswith("Epoch 10: the entire dataset, ") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["mine", "run"])
def test_full_prints_every_row_interval_and_note(world, name, width):
    lines = printed(world[name], width, full=True)
    assert max(map(len, lines)) <= width
    text = re.sub(r"[\s]+", "", "".join(lines))
    for row in world[name].rows:
        at = f"epoch {row['epoch']}, {row['slice']}" if name == "run" else row["slice"]
        shown = "".join(
            section(lines, f"{at}: {row['n_member']:,} members, {row['n_nonmember']:,} non-members")
        )
        for column in ("auc", "advantage", "tpr_at_1pct_fpr"):
            if row[column] is not None:
                low, high = row[f"{column}_low"], row[f"{column}_high"]
                assert f"{row[column]:.3f}" in shown
                assert f"({low:.3f}-{high:.3f})" in shown
        if row["note"]:
            assert re.sub(r"\s+", "", f"{at}, {row['attack']}: {row['note']}") in text


def test_a_placebo_is_the_last_and_no_class_s_strongest(world):
    rows = [row | {"attack": "placebo", "auc": 0.99} for row in world["mine"].rows if row["attack"] == "knn"]
    attacked = type(world["mine"])(**(vars(world["mine"]) | {"rows": rows + world["mine"].rows}))
    lines = printed(attacked, 80)
    assert section(lines, "strongest attack first")[-1].startswith("placebo                    no attack")
    assert not any("placebo" in line for line in section(lines, "worst classes"))


def test_in_a_pipe_rows_are_as_wide_as_columns_says_else_whole(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays())
    for columns, longest in (("80", 80), (None, 160)):
        env = {"COLUMNS": columns} if columns else {}
        command = [sys.executable, "-m", "privacy_report", "audit", str(tmp_path / "mine.npz"), *QUICKLY]
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "out")],
            env={**{k: v for k, v in os.environ.items() if k != "COLUMNS"}, **env},
            capture_output=True,
            text=True,
            check=True,
        )
        widths = [len(line.rstrip()) for line in done.stdout.splitlines()]
        assert max(widths) <= longest
        assert ("advantage (95%)" in done.stdout) == (columns is None)
        assert "\x1b" not in done.stdout
        assert done.stderr == ""


def bar_of(seconds, monkeypatch, patience=0.2):
    """What the bar writes while work of so many seconds is done."""
    out = io.StringIO()
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(progress, "Console", lambda stderr: Console(file=out, force_terminal=True, width=80))
    with progress.progress("audit mine", 2) as done:
        done(0.5)
        time.sleep(seconds)
        done(1.5)
    return out.getvalue()


def test_a_bar_appears_only_where_it_takes_long(monkeypatch):
    assert "audit mine" in bar_of(0.6, monkeypatch)
    assert bar_of(0.0, monkeypatch, patience=60.0) == ""
    assert bar_of(0.6, monkeypatch, patience=60.0) == ""
    assert progress.PATIENCE == 60.0


def test_the_bar_waits_for_two_seconds():
    assert progress.PATIENCE == 2.0


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress.progress("audit mine", 4) as done:
        done(1)
        done(2)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == ["audit mine: 25%", "audit mine: 75%"]


def test_all_parts_are_reported(monkeypatch, tmp_path):
    """The bar is full when a run of three checkpoints is done."""
    parts = []
    monkeypatch.setattr(progress, "_lines", lambda label, total: parts.append or total)
    (model,) = models_at([run_of(tmp_path / "run")])
    attack_model(model, ["threshold", "trajectory"], OPTIONS)
    assert len(parts) == 9
    assert sum(parts) == pytest.approx(3)


@pytest.mark.parametrize(
    "make", [lambda: Path("out").touch(), lambda: Path("out").symlink_to("nowhere/at/all")]
)
def test_out_is_tried_before_the_attacks(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", **arrays())
    make()
    monkeypatch.setattr("privacy_report.commands.audit.attack_model", lambda *args: pytest.fail("attacked"))
    for out in ("out", "out/deeper"):
        with pytest.raises(UserError, match=rf"^--out {out}: cannot write to .*/out \("):
            main(["mine.npz", *QUICKLY, "--out", out])
    Path("p.yaml").write_text("max_advantage: 1.0\n")
    with pytest.raises(UserError, match=r"^--html out/page\.html: cannot write to "):
        main(["mine.npz", *QUICKLY, "--gate", "p.yaml", "--html", "out/page.html"])
    with pytest.raises(UserError, match=r"^--html \.: is a folder"):
        main(["mine.npz", *QUICKLY, "--gate", "p.yaml", "--html", "."])


def test_to_try_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bad.npz").write_text("x")
    with pytest.raises(UserError, match=r"bad\.npz"):
        main(["bad.npz", "--out", "a/b"])
    assert [path.name for path in tmp_path.iterdir()] == ["bad.npz"]


@pytest.mark.parametrize("argv", [["--version"], ["audit", "--version"]])
def test_version(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        entry(argv)
    assert stopped.value.code == 0
    assert re.fullmatch(r"privacy-report (\d+\.\d+\.\d+\S*|not installed)\n", capsys.readouterr().out)


@pytest.mark.parametrize("argv", [[], ["audit"]])
def test_without_arguments_there_is_the_help_and_no_success(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        entry(argv)
    assert stopped.value.code == 2
    alone = capsys.readouterr()
    assert alone.err == ""
    with pytest.raises(SystemExit) as stopped:
        entry([*argv, "--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == alone.out


def test_help_has_an_example_that_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["--help"])
    examples = re.findall(r"^  privacy-report (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert examples[0] == "audit mine.npz"
    np.savez("mine.npz", **arrays())
    entry([*examples[0].split(), *QUICKLY])
    assert Path("audit/privacy.csv").exists()


def test_errors_of_attacks_name_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", **arrays())
    Path("groups.json").write_text('{"vip": {"member": [10000]}}')
    with pytest.raises(
        UserError, match=r"^mine\.npz: group 'vip': member position 10000, allowed: 0 to 599$"
    ):
        main(["mine.npz", *QUICKLY, "--groups", "groups.json"])
    with pytest.raises(UserError, match=r"^mine\.npz: --guesses"):
        main(["mine.npz", *QUICKLY, "--guesses", "4"])


def test_an_end_of_0_that_the_test_excludes_is_marked(tmp_path):
    """60 examples a side: the exact test rejects where the interval's rougher bound is still 0."""
    np.savez(tmp_path / "few.npz", **arrays(shift=1.2, n_member=60, n_nonmember=60, seed=3))
    (model,) = models_at([tmp_path / "few.npz"])
    attacked = attack_model(model, ["threshold"], OPTIONS | {"slices": ["entire"]})
    (row,) = attacked.rows
    assert (row["leaks"], row["advantage_low"]) == ("yes", 0.0)
    assert f"(>0.000-{row['advantage_high']:.3f})" in "".join(printed(attacked, 160))
    row["leaks"] = "no"
    assert f"(0.000-{row['advantage_high']:.3f})" in "".join(printed(attacked, 160))


def test_a_reader_that_has_gone_costs_no_file_and_gives_no_verdict(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays())
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "privacy_report", "audit", "mine.npz", *QUICKLY],
        cwd=tmp_path, stdout=written, stderr=subprocess.PIPE, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(written)
    assert (done.returncode, done.stderr) == (141, "")
    assert (tmp_path / "audit/privacy.csv").is_file()
