import math
from pathlib import Path

import pytest

from privacy_report.errors import UserError
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import columns_of, read_rows
from privacy_report.report.schema import ReportParams
from privacy_report.report.study_files import merge


def part(variant, text):
    path = Path(f"data/train/{variant}/history.csv")
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_merge_keeps_order_and_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part("b", "variant,epoch,epsilon\nb,1,0.10000000000000001\n")
    part("a", "variant,epoch,epsilon\na,1,\n")
    merge("training", ["b", "a"])
    assert Path("plots/training.csv").read_text() == "variant,epoch,epsilon\nb,1,0.10000000000000001\na,1,\n"
    rows = read_rows(Path("plots/training.csv"))
    assert rows[0] == {"variant": "b", "epoch": 1.0, "epsilon": 0.1}
    assert math.isnan(rows[1]["epsilon"])


def test_merge_refuses_other_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part("a", "variant,epoch\na,1\n")
    part("b", "variant,loss\nb,1\n")
    with pytest.raises(UserError, match=r"b/history\.csv: columns \['variant', 'loss'\], but a has"):
        merge("training", ["a", "b"])


def test_missing_and_empty_parts_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        merge("training", ["a"])
    Path("empty.csv").touch()
    with pytest.raises(UserError, match="not even a header"):
        columns_of(Path("empty.csv"))


@pytest.mark.parametrize(
    "wrong", [{"dpi": 0}, {"exposed_images": 101}, {"palette": []}, {"palette": ["red"]}]
)
def test_schema_refuses(wrong):
    with pytest.raises(UserError, match=rf"^report\.{next(iter(wrong))}: got .*, allowed: "):
        check("report", wrong, ReportParams)
