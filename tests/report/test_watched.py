"""The page about a run in progress: what is finished, and how far the rest is."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from report.conftest import read_page
from sandbox import ROOT

from privacy_report.commands import watch
from privacy_report.errors import UserError
from privacy_report.gate import inputs
from privacy_report.report.watched import Progress, in_one_line, page_of, shown, with_progress
from privacy_report.training import device, reached
from stages.report import main as report

DECISION = re.compile(r'<section id="decision">.*?</section>', re.DOTALL)
NAN = float("nan")


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, "not begun"),
        ({"val_accuracy": (0.4, 0.5)}, "epoch 2 of 3"),
        ({"val_accuracy": (0.4, 0.5, 0.6)}, "trained, not yet attacked"),
        (
            {"val_accuracy": (0.4, 0.5, 0.6), "references": (2, 6)},
            "trained; its reference models are not",
        ),
        ({"val_accuracy": (0.4, 0.5, 0.6), "references": (6, 6)}, "trained, not yet attacked"),
        ({"finished": True}, "finished"),  # after `dvc pull` there is no store
    ],
)
def test_the_state_of_a_variant_in_words(known, state):
    assert Progress("a", "A", 3, **known).state == state


def test_the_run_in_one_line():
    variants = [Progress("cnn2", "2 Layers", 4, finished=True), Progress("cnn3", "3 Layers", 4, (0.4, 0.5))]
    assert in_one_line(variants) == "1 of 2 variants finished, cnn3 at epoch 2 of 4"
    assert in_one_line(variants[:1]) == "1 of 1 variants finished"


def test_the_best_epoch_is_the_first_of_the_highest_and_no_nan():
    assert Progress("a", "A", 4, (0.4, 0.6, NAN, 0.6)).best == (2, 0.6)
    assert Progress("a", "A", 4, (NAN,)).best is None


def test_the_curve_ends_where_the_epochs_do():
    points = Progress("a", "A", 5, (0.0, NAN, 1.0)).points
    assert points == "0.0,28.0 80.0,0.0"  # 160 wide for five epochs, 28 high for 0 to 1


def test_a_twin_waits_for_a_variant_that_may_be_shipped():
    sections = {"a": {"epochs": 2}, "a_twin": {"epochs": 2, "canaries": {"number": 5}}, "b": {"epochs": 3}}
    assert shown({"a_twin"}, sections) == []
    assert shown({"a_twin", "b"}, sections) == ["a_twin", "b"]


def test_all_variants_finished_make_the_decision_of_the_report(study):
    study(variants=2, dp=("cnn3_dp",), epochs=4, attacks=("threshold", "rmia"))
    report([])
    (decided,) = DECISION.findall(read_page())
    assert DECISION.findall(page_of(["cnn2", "cnn3", "cnn3_dp"])) == [decided]


def test_a_variant_that_is_not_finished_is_only_in_the_table(study):
    study(variants=2, epochs=4)
    before = sorted(Path().rglob("*"))
    variants = [
        Progress("cnn2", "2 Layers", 4, (0.1, 0.2, 0.3, 0.4), finished=True),
        Progress("cnn3", "3 Layers", 4, (0.1, 0.25)),
    ]
    page = with_progress(page_of(["cnn2"]), variants, "2026-01-02 03:04:05", 60)
    assert sorted(Path().rglob("*")) == before
    (decided,) = DECISION.findall(page)
    assert "2 Layers" in decided
    assert "3 Layers" not in decided
    (run,) = re.findall(r'<section id="run">.*?</section>', page, re.DOTALL)
    text = " ".join(re.sub("<[^>]+>", " ", run).split())
    assert "1 of 2 variants finished, cnn3 at epoch 2 of 4 Written at 2026-01-02 03:04:05." in text
    assert "3 Layers cnn3 epoch 2 of 4 0.250 0.250 epoch 2" in text
    assert page.count('<meta http-equiv="refresh" content="60">') == 1


def test_without_any_finished_variant_the_page_is_the_table(study):
    page = with_progress("", [Progress("cnn3", "<3> Layers", 4)], "now", 60)
    assert "&lt;3&gt; Layers" in page
    assert "nothing to judge" in page
    assert page.count('http-equiv="refresh"') == 1
    assert page.count('<section id="run">') == 1


def test_a_table_that_went_meanwhile_is_one_line(study):
    study(variants=1, epochs=4)
    Path("data/attack/cnn2/halves.csv").unlink()
    with pytest.raises(UserError, match=r"halves\.csv"):
        page_of(["cnn2"])


def test_a_variant_that_has_gone_meanwhile_is_one_line(study):
    study(variants=2, epochs=4)
    drop("cnn3")
    with pytest.raises(UserError, match=r"^params\.yaml: cnn3 has gone from it$"):
        page_of(["cnn2", "cnn3"])


def drop(variant):
    """Take a variant out of params.yaml."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    del params["variants"][variant]
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def test_epochs_are_looked_up_under_the_device_of_the_run(tmp_path, monkeypatch):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"backend": {"device": "gpu"}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(device.VARIABLE, "")
    chosen = []
    monkeypatch.setattr(reached, "reached", lambda *_: chosen.append(device.chosen()) or reached.Reached())
    watch.Watcher(Path("watch.html"))._look(SimpleNamespace(is_current=lambda stage: False))
    assert chosen == ["gpu"] * len(params["variants"])


class Unchanged:
    """In place of dvc.lock: all attacks are those of before."""

    def digest(self, stage):
        return (stage,)


@pytest.mark.usefixtures("unrasterised")
def test_an_edit_between_two_reads_keeps_the_earlier_report_and_says_why(study, monkeypatch):
    study(variants=2, epochs=4)
    progress = [Progress(name, name, 4, finished=True) for name in ("cnn2", "cnn3")]
    monkeypatch.setattr(watch, "Current", Unchanged)
    monkeypatch.setattr(watch.Watcher, "_look", lambda self, current: progress)
    watcher, read = watch.Watcher(Path("watch.html")), inputs.read_variants
    assert watcher.write() == "2 of 2 variants finished"
    (decided,) = DECISION.findall(read_page("watch.html"))
    assert "3 Layers" in decided

    def edited_just_then():
        sections = read()
        drop("cnn3")
        return sections

    monkeypatch.setattr(inputs, "read_variants", edited_just_then)
    why = "params.yaml: cnn3 has gone from it"
    assert watcher.write() == f"2 of 2 variants finished; no new report: {why}"
    page = read_page("watch.html")
    assert DECISION.findall(page) == [decided]
    assert page.count(why) == 1
    monkeypatch.setattr(inputs, "read_variants", read)
    assert watcher.write() == "2 of 2 variants finished"
    (decided,) = DECISION.findall(read_page("watch.html"))
    assert "3 Layers" not in decided
