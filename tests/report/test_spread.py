"""How the page says how exposure is spread."""

import html
import re

import pytest
from report.conftest import read_page

from privacy_report.pipeline.contract import RECORD_AUC_COLUMNS
from privacy_report.pipeline.tables import write_table
from privacy_report.report.record_auc import SHOWN, spread, worst_groups
from privacy_report.report.study import Study
from privacy_report.report.study_files import merge
from stages.report import main


def row(name, auc, share, noise, high, members=5000):
    values = ("cnn2", 20, name, members, auc, share, share / 2, share * 2, noise, high)
    return dict(zip(RECORD_AUC_COLUMNS, values, strict=True))


def write_spread(root):
    """A curve, and twelve classes and groups: the largest share of them is not the largest beyond noise."""
    rows = [row("entire dataset", auc, 0.12345, 0.02, 0.03, 50_000) for auc in (0.5, *SHOWN)]
    rows += [row(f"class={i}", 0.9, 0.02 + i / 1000, 0.01, 0.0225) for i in range(10)]
    rows += [row("class=3", 0.8, 0.9, 0.01, 0.02), row("group=mine<b>", 0.9, 0.3, 0.29, 0.31, 70)]
    rows += [row("group=few", 0.9, 0.25, 0.05, 0.1, 40)]
    write_table(root / "data/attack/cnn2/record_auc.csv", rows, RECORD_AUC_COLUMNS)


def test_the_worst_are_those_with_the_largest_excess_over_noise(study):
    root = study(epochs=2)
    merge("privacy", Study(root).labels, root)
    write_spread(root)
    assert [line.auc for line in spread(Study(root))] == [f"{auc:g}" for auc in SHOWN]
    first, *others = worst_groups(Study(root))
    assert (first.group, first.members, first.share) == ("few", 40, "25% [12%, 50%]")
    assert (first.noise, first.beyond) == ("5%, at most 10%", True)
    names = ["truck", "ship", "horse", "frog", "dog", "deer", "cat", "bird", "automobile"]
    assert [line.group for line in others] == names
    assert [line.beyond for line in others] == [True] * 7 + [False] * 2


@pytest.mark.usefixtures("unrasterised")
def test_the_page_has_the_curve_and_the_worst_groups(study):
    root = study(epochs=2)
    main([])
    assert "How exposure is spread" not in read_page()
    write_spread(root)
    main([])
    text = read_page()
    section = re.search(r'<section id="spread">(.*?)</section>', text, re.DOTALL)[1]
    cells = [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", section)]
    assert cells[:5] == [Study(root).labels["cnn2"], "0.6", "12% [6.2%, 25%]", "2%, at most 3%", "yes"]
    assert len(cells) == 5 * len(SHOWN) + 6 * 10
