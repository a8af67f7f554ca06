import numpy as np
import pytest
from scipy.stats import binomtest

from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.tables import (
    exposed_rows,
    histogram_rows,
    privacy_rows,
    roc_rows,
    summary,
    with_leaks,
)
from privacy_report.pipeline.contract import (
    ENTIRE,
    EXPOSED_COLUMNS,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
)


@pytest.fixture
def results(outputs):
    params = AttackParams(attacks=["threshold"], slices=["entire", "class"])
    return {epoch: attack_outputs(outputs(shift=epoch / 4, seed=epoch), params) for epoch in (2, 4, 10)}


def p_row(p, attack="threshold", **more):
    return {"attack": attack, "advantage_p": p} | more


def test_holm_runs_over_all_attacks_slices_and_checkpoints():
    rows = [p_row(0.012), p_row(None), p_row(0.012, "mlp"), p_row(0.02, epoch=4), p_row(0.04, slice="a")]
    assert [row["leaks"] for row in with_leaks(rows)] == ["yes", None, "yes", "yes", "yes"]
    rows += [p_row(0.9, "mlp")]
    assert [row["leaks"] for row in with_leaks(rows)] == ["no", None, "no", "no", "no", "no"]


def test_the_placebo_is_in_no_family_of_attacks():
    rows = [p_row(0.03), *[p_row(0.9, "placebo") for _ in range(9)]]
    assert [row["leaks"] for row in with_leaks(rows)] == ["yes", *["no"] * 9]
    rows = [p_row(0.03, "placebo"), *[p_row(0.9) for _ in range(9)]]
    assert [row["leaks"] for row in with_leaks(rows)] == ["yes", *["no"] * 9]


def test_attacks_that_see_less_are_in_the_one_family():
    rows = [p_row(0.012, "gap"), p_row(0.04), p_row(0.02, "rmia_top"), p_row(0.012, "rmia")]
    assert [row["leaks"] for row in with_leaks(rows)] == ["yes"] * 4
    assert [row["leaks"] for row in with_leaks([*rows, p_row(0.9, "gap")])] == ["no"] * 5


@pytest.mark.parametrize("leaking", [0, 1, 5])
def test_one_true_leak_gives_no_other_row_a_second_chance(leaking):
    """A null row says "yes" in at most 5% of tables, whatever else leaks; here all rows are independent."""
    rng, draws, wrong = np.random.default_rng(0), 2000, 0
    names = ["threshold"] * 10 + ["gap"] * 10
    for _ in range(draws):
        p = np.where(np.arange(20) < leaking, 1e-9, rng.random(20))
        rows = with_leaks(map(p_row, p, names))
        wrong += any(row["leaks"] == "yes" for row in rows[leaking:])
    assert binomtest(wrong, draws, 0.05, "greater").pvalue > 0.01


def test_halves_are_corrected_apart():
    rows = [p_row(0.03, half="select"), p_row(0.9, half="report")]
    assert [row["leaks"] for row in with_leaks(rows)] == ["yes", "no"]


def test_rows_have_the_columns_and_checkpoints_in_order(results):
    rows = privacy_rows("cnn2", results)
    assert all(set(row) == set(PRIVACY_COLUMNS) for row in rows)
    halves = privacy_rows("cnn2", results, halves=True)
    assert all(set(row) == set(HALVES_COLUMNS) for row in halves)
    assert [row["epoch"] for row in rows if row["slice"] == ENTIRE] == [2, 4, 10]
    assert {row["leaks"] for row in rows} == {"yes", "no"}


def test_summary_is_the_last_checkpoint(results):
    rows = privacy_rows("cnn2", results)
    last = next(row for row in rows if row["epoch"] == 10 and row["slice"] == ENTIRE)
    by_attack = summary(rows)
    assert list(by_attack) == ["threshold"]
    assert by_attack["threshold"]["auc"] == last["auc"]
    assert by_attack["threshold"]["leaks"] == "yes"
    assert "tpr_at_0p1pct_fpr" not in by_attack["threshold"]  # refused, so absent


def test_summary_says_why_an_attack_was_not_made(outputs):
    rows = privacy_rows(
        "v", {2: attack_outputs(outputs(n_member=5, n_nonmember=5), AttackParams(slices=["entire"]))}
    )
    assert summary(rows)["threshold"] == {
        "note": "not attacked: 5 members and 5 non-members, at least 10 of each are needed"
    }


def test_histograms_share_bins_and_count_everyone(results):
    rows = histogram_rows("cnn2", results)
    assert set(rows[0]) == set(HISTOGRAM_COLUMNS)
    bins = {(row["epoch"], row["side"]): [] for row in rows}
    for row in rows:
        bins[row["epoch"], row["side"]].append((row["low"], row["high"], row["count"]))
    edges = {tuple(cell[:2] for cell in cells) for cells in bins.values()}
    assert len(edges) == 1
    assert sum(cell[2] for cell in bins[2, "member"]) == 400
    assert sum(cell[2] for cell in bins[10, "nonmember"]) == 200


def test_exposed_members_are_named_by_dataset_index(results):
    index, labels = np.arange(400) + 1000, np.arange(400) % 4
    rows = exposed_rows("cnn2", results, index, labels, {})
    assert {row["ranking"] for row in rows} == {"lt_iqr"}
    assert set(rows[0]) == set(EXPOSED_COLUMNS)
    assert [row["rank"] for row in rows] == list(range(1, 101))
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    first, at = rows[0], rows[0]["index"] - 1000
    losses = [result.member_loss[at] for result in results.values()]
    assert first["score"] == pytest.approx(np.subtract(*np.percentile(losses, [75, 25])))
    assert (first["label"], first["loss"]) == (labels[at], losses[-1])


def test_curves_are_on_the_entire_dataset(results):
    rows = roc_rows("cnn2", results)
    assert set(rows[0]) == set(ROC_COLUMNS)
    assert {row["slice"] for row in rows} == {ENTIRE}
    assert max(sum(row["epoch"] == epoch for row in rows) for epoch in (2, 4, 10)) <= 500


def test_with_references_members_are_ranked_by_their_exposure(results):
    index, labels = np.arange(400) + 1000, np.arange(400) % 4
    by_member = {"exposure": np.arange(400.0), "found_at_fpr": np.linspace(1, 0, 400)}
    rows = exposed_rows("cnn2", results, index, labels, by_member)
    assert {row["ranking"] for row in rows} == {"exposure"}
    assert [row["index"] for row in rows[:3]] == [1399, 1398, 1397]
    assert (rows[0]["score"], rows[0]["found_at_fpr"]) == (399.0, 0.0)
