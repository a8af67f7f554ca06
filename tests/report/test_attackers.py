"""What an attacker sees: two lines a variant, and a placebo that is no attack."""

import math
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from report.conftest import read_page

from privacy_report.pipeline.contract import EARLY, EPSILON_JOINT, OUTPUTS, PLACEBO, REFERENCES, kind_of
from privacy_report.report import by_epoch, trade_offs
from privacy_report.report.claims import check_claim
from privacy_report.report.classes import worst_rows
from privacy_report.report.differential_privacy import finding
from privacy_report.report.page import placebos
from privacy_report.report.study import OUTPUTS_ONLY, Study
from privacy_report.report.study_files import merge
from privacy_report.report.style import INK, Look
from stages.report import main

ALL = ("threshold", "logistic", "trajectory", "rmia", "placebo")


def merged(root: Path) -> Study:
    study = Study(root)
    for table in ("training", "privacy", "roc"):
        merge(table, study.labels)
    return study


def lines(panel) -> list:
    """The panel's curves, without what is drawn in ink or has a single point."""
    ax = Figure().add_subplot()
    panel.draw(ax)
    curves = (line for line in ax.lines if line.get_transform() == ax.transData)
    return [line for line in curves if line.get_color() != INK and len(line.get_xdata()) > 1]


@pytest.mark.parametrize(
    ("attack", "kind"),
    [
        ("threshold", OUTPUTS),
        ("mine", OUTPUTS),
        ("trajectory", EARLY),
        ("rmia", REFERENCES),
        ("lira_offline", REFERENCES),
        ("placebo", PLACEBO),
    ],
)
def test_kinds(attack, kind):
    assert kind_of(attack) == kind


def test_two_lines_a_variant_in_one_colour(study):
    merged_study = merged(study(epochs=10, attacks=ALL))
    look = Look(["cnn2", "cnn3"], ["#111111", "#222222"])
    panel = by_epoch.vulnerability(merged_study, look).panels[0]
    drawn = lines(panel)
    assert [line.get_color() for line in drawn] == ["#111111"] * 2 + ["#222222"] * 2
    assert [line.get_linestyle() for line in drawn] == ["-", "--"] * 2
    for variant, (outputs, more) in zip(("cnn2", "cnn3"), (drawn[:2], drawn[2:]), strict=True):
        for line, attack in ((outputs, "logistic"), (more, "rmia")):  # the strongest as the study is made
            rows = [
                row for row in merged_study.by_attack[variant, attack] if row["slice"] == "entire dataset"
            ]
            assert list(line.get_ydata()) == [row["auc"] for row in rows]
            assert list(line.get_xdata()) == [2, 4, 6, 8, 10]


def test_the_roc_shows_both_lines(study):
    merged_study = merged(study(epochs=10, attacks=ALL))
    panel = trade_offs.roc_picture(merged_study, Look(["cnn2", "cnn3"], ["#111111", "#222222"])).panels[-1]
    drawn = lines(panel)
    assert [line.get_linestyle() for line in drawn] == ["-", "--"] * 2
    for line, attack in zip(drawn, ["logistic", "rmia"] * 2, strict=True):
        variant = {"#111111": "cnn2", "#222222": "cnn3"}[line.get_color()]
        curve = merged_study.roc[variant, 10, attack]
        assert list(line.get_ydata()) == [tpr for fpr, tpr in curve if fpr > 0]


@pytest.mark.parametrize(
    "settings", [{"attacks": ("threshold", "logistic")}, {"variants": 7, "attacks": ALL}]
)
def test_one_line_where_none_sees_more_or_where_there_are_many_variants(study, settings):
    merged_study = merged(study(epochs=4, **settings))
    palette = [f"#{i:06x}" for i in range(1, 8)]
    drawn = lines(by_epoch.vulnerability(merged_study, Look(list(merged_study.labels), palette)).panels[0])
    assert len(drawn) == len(merged_study.labels)
    assert {line.get_linestyle() for line in drawn} == {"-"}


def test_a_placebo_is_never_an_attack(study):
    merged_study = merged(study(dp=("cnn3_dp",), epochs=4, attacks=ALL))
    classes = {name: worst_rows(merged_study, name, 4) for name in merged_study.labels}
    strongest = {name: merged_study.strongest(name, 4)["attack"] for name in merged_study.labels}
    root = merged_study.root
    merged_study = Study(root)
    for row in merged_study.privacy:  # as strong as can be
        if row["attack"] == "placebo":
            row |= dict.fromkeys(("epsilon_fixed_split", EPSILON_JOINT), 9.0)
            row |= {"auc": 1.0, "advantage": 1.0, "leaks": "yes"}
    assert merged_study.attacks() == list(ALL[:-1])
    for name in merged_study.labels:
        assert merged_study.strongest(name, 4)["attack"] == strongest[name] != "placebo"
        assert merged_study.by_epoch(name, "advantage")[-1]["advantage"] < 1
        assert worst_rows(merged_study, name, 4) == classes[name]
    assert "placebo" not in finding(merged_study, "cnn3_dp", 4)
    check_claim(merged_study)


def test_strongest_of_a_kind(study):
    merged_study = merged(study(epochs=4, attacks=ALL))
    assert merged_study.strongest("cnn2", 4)["attack"] == "rmia"
    assert merged_study.strongest("cnn2", 4, kinds=OUTPUTS_ONLY)["attack"] == "logistic"
    assert merged_study.strongest("cnn2", 4, kinds=(EARLY,))["attack"] == "trajectory"
    assert merged_study.strongest("cnn2", 4, kinds=()) is None


@pytest.mark.usefixtures("unrasterised")
def test_page_says_who_sees_more_and_what_the_placebo_gives(study):
    study(epochs=4, attacks=ALL)
    main([])
    text = read_page()
    assert "with reference models or early checkpoints: trajectory, rmia." in text
    assert "Anyone who has seen an early release" in text
    assert "A placebo attacks a reference model" in text
    assert "2 Layers, epoch 4: AUC 0.500 [0.494, 0.506]; 3 Layers" in text
    assert "4 attacks: threshold, logistic, trajectory, rmia." in text


def test_a_placebo_that_finds_something_is_said(study):
    merged_study = merged(study(epochs=4, attacks=ALL))
    last = merged_study.placebo["cnn2"][-1]
    last |= {"auc": 0.543, "auc_low": 0.531, "auc_high": 0.555}
    off, fine = placebos(merged_study)
    assert off.endswith(
        "AUC 0.543 [0.531, 0.555], not 0.5: members and non-members differ in more than membership"
    )
    assert fine == "3 Layers, epoch 4: AUC 0.500 [0.494, 0.506]"
    last["auc"] = math.nan  # refused, as where there are no reference models
    assert placebos(merged_study) == [fine]


def test_without_a_placebo_none_is_spoken_of(study):
    assert placebos(merged(study(epochs=4))) == []
