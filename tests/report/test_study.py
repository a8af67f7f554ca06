import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.errors import UserError
from privacy_report.report.study import Study, pareto
from privacy_report.report.study_files import PARTS, merge

points = st.lists(st.tuples(st.integers(0, 8).map(float), st.integers(0, 8).map(float)))


@given(points)
def test_pareto_against_the_definition(checkpoints):
    def beaten(point):
        return any(o[0] >= point[0] and o[1] <= point[1] and o != point for o in checkpoints)

    assert sorted(pareto(checkpoints)) == sorted({point for point in checkpoints if not beaten(point)})


def test_pareto_passes_over_what_was_not_measured():
    assert pareto([(math.nan, 0.1), (0.5, math.nan), (0.5, 0.2)]) == [(0.5, 0.2)]


def merged(root):
    for table in PARTS:
        merge(table, Study(root).labels)
    return Study(root)


def test_strongest_passes_over_refused_rows(study):
    merged_study = merged(study(refused=True))
    assert merged_study.strongest("cnn2", 8)["attack"] == "logistic"
    assert merged_study.strongest("cnn2", 10)["attack"] == "threshold"
    assert merged_study.strongest("cnn2", 3) is None


def test_epochs_are_in_order_of_number(study):
    merged_study = merged(study())
    assert merged_study.epochs("cnn2")[:6] == [2, 4, 6, 8, 10, 12]
    assert merged_study.shown("cnn2")["last"] == 50


def test_missing_verdict_is_one_line(study):
    root = study()
    (root / "data/gate/cnn2.json").unlink()
    with pytest.raises(UserError, match=r"data/gate/cnn2\.json: no such file; `dvc repro gate@cnn2`"):
        Study(root).verdict("cnn2")
    (root / "data/gate/cnn2.json").write_text('{"policy": [')
    with pytest.raises(UserError, match="damaged"):
        Study(root).verdict("cnn2")
