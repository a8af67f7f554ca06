"""An audit that shows more than was claimed stops the report."""

import pytest

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import EPSILON_JOINT, ROWS
from privacy_report.pipeline.tables import where
from privacy_report.report.claims import check_claim
from privacy_report.report.study import Study
from privacy_report.report.study_files import PARTS, merge


def merged(root):
    for table in PARTS:
        merge(table, Study(root).labels)
    return Study(root)


def test_claim_holds_or_stops_the_report(study):
    merged_study = merged(study(dp=("cnn3_dp",)))
    check_claim(merged_study)
    row = next(where(merged_study.privacy, variant="cnn3_dp", slice="class=2"))
    row["epsilon_fixed_split"] = 100.0  # alone it may be chance
    check_claim(merged_study)
    row[EPSILON_JOINT] = merged_study.spent("cnn3_dp", int(row["epoch"])) + 0.01
    said = r"^cnn3_dp, epoch 2: attack threshold on class=2 finds epsilon >= 1\.566 "
    with pytest.raises(UserError, match=said + r"\(95%, for all 550 rows at once\), but [^\n]*$"):
        check_claim(merged_study)


@pytest.mark.parametrize("name", ["correct", "incorrect", "loss_percentile=0-10"])
def test_slices_by_the_output_cannot_break_a_claim(study, name):
    merged_study = merged(study(dp=("cnn3_dp",), epochs=10))
    row = next(where(merged_study.privacy, variant="cnn3_dp", slice="class=2"))
    row |= {"slice": name, EPSILON_JOINT: 100.0}
    check_claim(merged_study)
    row["slice"] = "group=mine"
    with pytest.raises(UserError, match="group=mine finds"):
        check_claim(merged_study)


def test_the_references_epsilons_are_no_bounds_and_break_no_claim(study):
    root = study(dp=("cnn3_dp",))
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "attack: {mode: parity}\n")
    merged_study = merged(root)
    for row in merged_study.privacy:
        row[EPSILON_JOINT] = 100.0
    check_claim(merged_study)


def test_a_variant_without_a_claim_cannot_break_it(study):
    merged_study = merged(study())
    for row in merged_study.privacy:
        row[EPSILON_JOINT] = 100.0
    check_claim(merged_study)


def test_bounds_of_persons_break_no_claim_of_rows(study):
    root = study(dp=("cnn3_dp",), epochs=10)
    of_persons, again = merged(root), merged(root)
    for merged_study in (of_persons, again):
        next(where(merged_study.privacy, variant="cnn3_dp", slice="class=2"))[EPSILON_JOINT] = 100.0
    with pytest.raises(UserError, match="class=2 finds"):
        check_claim(again)
    next(where(of_persons.every_row, variant="cnn3_dp", slice="class=3"))["slice"] = ROWS
    assert not of_persons.persons("cnn2")
    check_claim(of_persons)
