import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from privacy_report.attack.signals import Examples, pool
from privacy_report.attack.slices import Group, load_groups, slices
from privacy_report.audits.attacks import audit_params
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import output_arrays
from stages.attack import main


def test_names_and_order(outputs):
    names = [name for name, _ in slices(pool(outputs(n_classes=2)), ["entire", "class", "correctness"])]
    assert names == ["entire dataset", "class=0", "class=1", "correct", "incorrect"]


def test_class_and_correctness_masks():
    examples = Examples(
        np.array([[2.0, 0], [0, 2], [2, 0]]), np.array([0, 0, 1]), np.array([True, True, False])
    )
    masks = dict(slices(examples, ["class", "correctness"]))
    assert masks["class=0"].tolist() == [True, True, False]
    assert masks["correct"].tolist() == [True, False, False]
    assert masks["incorrect"].tolist() == [False, True, True]


@pytest.mark.parametrize("ties", [False, True])
def test_each_example_is_in_one_decile(outputs, ties):
    examples = pool(outputs())
    if ties:
        examples = Examples(examples.logits[:].round(0), examples.labels, examples.is_member)
    masks = [mask for _, mask in slices(examples, ["percentile"])]
    assert len(masks) == 10
    np.testing.assert_array_equal(np.sum(masks, axis=0), 1)
    if not ties:
        assert {int(mask.sum()) for mask in masks} == {60}


def test_deciles_go_up_with_the_loss(outputs):
    examples = pool(outputs())
    named = list(slices(examples, ["percentile"]))
    assert (named[0][0], named[-1][0]) == ("loss_percentile=0-10", "loss_percentile=90-100")
    means = [examples.loss[mask].mean() for _, mask in named]
    assert means == sorted(means)


def test_an_example_on_an_edge_is_in_the_decile_above():
    """Eleven losses, each the edge of a decile: the largest has none above it."""
    labels = np.zeros(11, int)
    examples = Examples(np.column_stack([np.arange(11.0)[::-1], np.zeros(11)]), labels, labels == 0)
    order = np.argsort(examples.loss)
    masks = [mask[order] for _, mask in slices(examples, ["percentile"])]
    assert [np.flatnonzero(mask).tolist() for mask in masks] == [*[[i] for i in range(9)], [9, 10]]


def test_parity_deciles_count_boundaries_twice():
    labels = np.zeros(11, int)
    examples = Examples(np.column_stack([np.arange(11.0), np.zeros(11)]), labels, labels == 0)
    masks = [mask for _, mask in slices(examples, ["percentile"], both_ends=True)]
    assert [int(mask.sum()) for mask in masks] == [2] * 10


def test_groups_from_a_file(outputs, tmp_path):
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"odd": {"member": [1, 3], "nonmember": [0]}, "none": {}}))
    groups = load_groups(path)
    examples = pool(outputs(n_member=5, n_nonmember=3))
    masks = dict(slices(examples, ["group"], groups))
    assert np.flatnonzero(masks["group=odd"]).tolist() == [1, 3, 5]
    assert not masks["group=none"].any()


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"a": [1]}',
        '{"a": {"member": [-1]}}',
        '{"a": {"member": [1.5]}}',
        '{"a": {"member": [1, 1]}}',
        '{"\\ud800": {"member": [1]}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_bad_group_files_are_named_in_one_line(tmp_path, text):
    path = tmp_path / "groups.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"groups\.json") as caught:
        load_groups(path)
    assert "\n" not in str(caught.value)


def test_missing_group_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_groups(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_groups(tmp_path / "none.json")


def test_position_beyond_the_arrays(outputs):
    examples = pool(outputs(n_member=5, n_nonmember=3))
    with pytest.raises(UserError, match="allowed: 0 to 2"):
        list(slices(examples, ["group"], {"a": Group(nonmember=(3,))}))


def test_groups_of_columns_are_attacked_as_those_of_a_file(tmp_path, monkeypatch, outputs):
    """Row 7 of the members is a canary and in no score file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("data/prepare", "data/reference/v", "conf/groups"):
        Path(name).mkdir(parents=True)
    rng, member, nonmember = np.random.default_rng(0), np.arange(0, 400, 2), np.arange(1, 400, 2)
    codes = np.stack([rng.integers(-1, 2, 400), rng.integers(0, 3, 400)], axis=1)
    for name, array in (("member", member), ("nonmember", nonmember), ("group", codes)):
        np.save(f"data/prepare/{name}.npy", array.astype(np.int32))
    columns = [{"column": "sex", "values": ["f", "m"]}, {"column": "clinic", "values": ["0", "1", "2"]}]
    Path("data/prepare/dataset.json").write_text(json.dumps({"groups": columns}))
    write_arrays("data/canaries/v.npz", {"index": member[[7]].astype(np.int32)})
    np.save("data/reference/v/trains.npy", np.zeros((0, 399), bool))
    write_arrays("data/score/v/epoch_0002.npz", output_arrays(outputs(199, 200, shift=1.0)))
    sides = {"member": np.delete(member, 7), "nonmember": nonmember}
    by_hand = {
        f"{column}={value}": {side: np.flatnonzero(codes[of, i] == j).tolist() for side, of in sides.items()}
        for i, (column, values) in enumerate((("sex", "fm"), ("clinic", "012")))
        for j, value in enumerate(values)
    }
    Path("conf/groups/mine.json").write_text(json.dumps(by_hand))
    tables = []
    for groups in ("columns", "conf/groups/mine.json"):
        asked = asdict(audit_params(["threshold"], ["entire"], groups=groups))
        Path("params.yaml").write_text(yaml.safe_dump({"attack": asked}))
        main(["v"])
        tables.append(Path("data/attack/v/privacy.csv").read_text())
    assert tables[0] == tables[1]
    slice_names = [row["slice"] for row in csv.DictReader(tables[0].splitlines())]
    assert slice_names == ["entire dataset", *(f"group={name}" for name in by_hand)]
    Path("data/prepare/group.npy").unlink()
    Path("params.yaml").write_text(yaml.safe_dump({"attack": asked | {"groups": "columns"}}))
    with pytest.raises(UserError, match=r"attack\.groups: got 'columns', allowed: a file"):
        main(["v"])
