import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import EPSILON_JOINT
from privacy_report.pipeline.tables import where
from privacy_report.report.study import Study, check_claim, pareto
from privacy_report.report.tables import PARTS, merge

points = st.lists(st.tuples(st.integers(0, 8).map(float), st.integers(0, 8).map(float)))


@given(points)
def test_pareto_against_the_definition(found):
    def beaten(point):
        return any(o[0] >= point[0] and o[1] <= point[1] and o != point for o in found)

    assert sorted(pareto(found)) == sorted({point for point in found if not beaten(point)})


def test_pareto_passes_over_what_was_not_measured():
    assert pareto([(math.nan, 0.1), (0.5, math.nan), (0.5, 0.2)]) == [(0.5, 0.2)]


def merged(root):
    for table in PARTS:
        merge(table, Study(root).labels)
    return Study(root)


def test_claim_holds_or_stops_the_report(study):
    found = merged(study(dp=("cnn3_dp",)))
    check_claim(found)
    row = next(where(found.privacy, variant="cnn3_dp", slice="class=2"))
    row["epsilon_fixed_split"] = 100.0  # alone it may be chance
    check_claim(found)
    row[EPSILON_JOINT] = found.claimed("cnn3_dp", int(row["epoch"])) + 0.01
    said = r"^cnn3_dp, epoch 2: attack threshold on class=2 finds epsilon >= 1\.566 "
    with pytest.raises(UserError, match=said + r"\(95%, for all 550 rows at once\), but [^\n]*$"):
        check_claim(found)


@pytest.mark.parametrize("name", ["correct", "incorrect", "loss_percentile=0-10"])
def test_slices_by_the_output_cannot_break_a_claim(study, name):
    found = merged(study(dp=("cnn3_dp",), epochs=10))
    row = next(where(found.privacy, variant="cnn3_dp", slice="class=2"))
    row |= {"slice": name, EPSILON_JOINT: 100.0}
    check_claim(found)
    row["slice"] = "group=mine"
    with pytest.raises(UserError, match="group=mine finds"):
        check_claim(found)


def test_the_references_epsilons_are_no_bounds_and_break_no_claim(study):
    root = study(dp=("cnn3_dp",))
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "attack: {mode: parity}\n")
    found = merged(root)
    for row in found.privacy:
        row[EPSILON_JOINT] = 100.0
    check_claim(found)


def test_a_variant_without_a_claim_cannot_break_it(study):
    found = merged(study())
    for row in found.privacy:
        row[EPSILON_JOINT] = 100.0
    check_claim(found)


def test_strongest_passes_over_refused_rows(study):
    found = merged(study(refused=True))
    assert found.strongest("cnn2", 8)["attack"] == "logistic"
    assert found.strongest("cnn2", 10)["attack"] == "threshold"
    assert found.strongest("cnn2", 3) is None


def test_epochs_are_in_order_of_number(study):
    found = merged(study())
    assert found.epochs("cnn2")[:6] == [2, 4, 6, 8, 10, 12]
    assert found.shown("cnn2")["last"] == 50


def test_missing_verdict_is_one_line(study):
    root = study()
    (root / "data/gate/cnn2.json").unlink()
    with pytest.raises(UserError, match=r"data/gate/cnn2\.json: no such file; `dvc repro gate@cnn2`"):
        Study(root).verdict("cnn2")
    (root / "data/gate/cnn2.json").write_text('{"policy": [')
    with pytest.raises(UserError, match="damaged"):
        Study(root).verdict("cnn2")
