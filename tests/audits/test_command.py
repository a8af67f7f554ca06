"""The audit's command line, as a person with a model of another framework uses it."""

import contextlib
import csv
import io
import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from audited import arrays

from privacy_report.attack import registry
from privacy_report.attack.schema import SLICES
from privacy_report.audits.attacks import audit as audit_of
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import METRICS, PRIVACY_COLUMNS
from privacy_report.pipeline.outputs import Outputs, read_outputs


@pytest.fixture
def audit(tmp_path):
    """Run the audit on arrays, or on a file's bytes; its privacy.csv as dicts."""

    def run(values, *options):
        if isinstance(values, bytes):
            (tmp_path / "model.npz").write_bytes(values)
        else:
            np.savez(tmp_path / "model.npz", **values)
        quick = () if "--attacks" in options else ("--attacks", "threshold,logistic")
        main([str(tmp_path / "model.npz"), "--out", str(tmp_path / "out"), *quick, *options])
        with open(tmp_path / "out" / "privacy.csv", newline="") as file:
            return list(csv.DictReader(file))

    return run


def test_a_leak_is_reported(audit, tmp_path, capsys):
    rows = audit(arrays(shift=2.0))
    assert tuple(rows[0]) == PRIVACY_COLUMNS
    assert [row["slice"] for row in rows if row["attack"] == "logistic"] == [
        "entire dataset",
        "class=0",
        "class=1",
        "class=2",
    ]
    assert {row["leaks"] for row in rows if row["slice"] == "entire dataset"} == {"yes"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["threshold"]["auc"] == float(rows[0]["auc"])
    assert summary["threshold"]["leaks"] == "yes"
    shown = capsys.readouterr().out
    assert "entire dataset" in shown
    assert "logistic" in shown
    with open(tmp_path / "out" / "examples.csv", newline="") as file:
        examples = list(csv.DictReader(file))
    assert len(examples) == 900
    assert examples[600]["side"] == "nonmember"


def test_no_leak_is_not_reported(audit):
    assert {row["leaks"] for row in audit(arrays())} == {"no"}


def test_probabilities_do_as_well_as_logits(audit):
    values = arrays(shift=1.0)
    for side in ("member", "nonmember"):
        exp = np.exp(values.pop(f"{side}_logits").astype(float))
        values[f"{side}_probs"] = exp / exp.sum(axis=1, keepdims=True)
    assert float(audit(values)[0]["auc"]) == pytest.approx(
        float(audit(arrays(shift=1.0))[0]["auc"]), abs=1e-5
    )


def test_options_choose_attacks_slices_and_mode(audit, tmp_path):
    rows = audit(arrays(), "--attacks", "threshold_entropy,knn", "--slices", "correctness,percentile")
    assert {row["attack"] for row in rows} == {"threshold_entropy", "knn"}
    assert {row["slice"] for row in rows} >= {"correct", "incorrect", "loss_percentile=90-100"}
    rows = audit(arrays(), "--mode", "parity", "--attacks", "threshold", "--slices", "entire")
    assert len(rows) == 1
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"vip": {"member": list(range(50)), "nonmember": list(range(50))}}))
    rows = audit(arrays(), "--attacks", "threshold", "--slices", "entire", "--groups", str(groups))
    assert [row["slice"] for row in rows] == ["entire dataset", "group=vip"]


def test_reruns_are_byte_identical(audit, tmp_path):
    audit(arrays(), "--seed", "3")
    names = ("privacy.csv", "summary.json", "examples.csv")
    first = [(tmp_path / "out" / name).read_bytes() for name in names]
    audit(arrays(), "--seed", "3")
    assert first == [(tmp_path / "out" / name).read_bytes() for name in names]


def test_names_are_shown_as_they_are(audit, tmp_path, capsys):
    """Brackets are no markup, and a narrow terminal folds cells, but cuts nothing off."""
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"[/vip]": {"member": list(range(50)), "nonmember": list(range(50))}}))
    options = ("--attacks", "threshold_modified_entropy", "--slices", "entire", "--groups", str(groups))
    audit(arrays(), *options)
    assert "group=[/vip]" in capsys.readouterr().out


def test_the_entire_dataset_is_audited_whatever_the_slices(audit, tmp_path):
    rows = audit(arrays(), "--slices", "class")
    assert [row["slice"] for row in rows][:2] == ["entire dataset", "class=0"]
    assert set(json.loads((tmp_path / "out" / "summary.json").read_text())) == {
        *("threshold", "logistic"),
        *("input", "warnings"),
    }


def test_arrays_in_rows_out(audit):
    """From a notebook, without a file: the same numbers."""
    values = arrays(shift=1.0)
    rows, findings = audit_of(Outputs(**values), audit_params(["threshold"], ["entire"]), "mine")
    (written,) = audit(values, "--attacks", "threshold", "--slices", "entire")
    assert set(rows[0]) == set(PRIVACY_COLUMNS)
    for name in METRICS:
        assert written[name] == ("" if rows[0][name] is None else repr(rows[0][name]))
    assert rows[0]["variant"] == "mine"
    assert len(findings.member_loss) == 600


def test_nothing_of_an_earlier_audit_is_left_next_to_a_new_one(audit, tmp_path):
    coins = np.random.default_rng(0).random(300) < 0.5
    scores = {"canary_scores": coins + 0.0, "canary_is_member": coins}
    quick = ("--attacks", "threshold", "--slices", "entire")
    audit(arrays() | scores, *quick)
    left = {"privacy.csv", "summary.json", "examples.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == left | {"one_run.json"}
    (tmp_path / "out/mine.txt").touch()
    audit(arrays(), *quick)
    assert {path.name for path in (tmp_path / "out").iterdir()} == left | {"mine.txt"}
    np.savez(tmp_path / "model.npz", **scores)
    main([str(tmp_path / "model.npz"), "--out", str(tmp_path / "out")])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one_run.json", "mine.txt"}


def test_examples_are_told_apart_by_side_and_position(audit, tmp_path):
    values = arrays(n_member=30, n_nonmember=20)
    audit(values, "--attacks", "threshold", "--slices", "entire")
    with open(tmp_path / "out" / "examples.csv", newline="") as file:
        examples = list(csv.DictReader(file))
    assert [int(row["index"]) for row in examples] == [*range(30), *range(20)]
    assert [int(row["label"]) for row in examples[30:]] == values["nonmember_labels"].tolist()
    logits = values["nonmember_logits"][7].astype(float)
    loss = np.log(np.exp(logits).sum()) - logits[values["nonmember_labels"][7]]
    assert float(examples[37]["loss"]) == pytest.approx(loss, rel=1e-9)


def test_one_example_a_side_is_a_row_with_a_reason(audit):
    rows = audit(arrays(n_member=1, n_nonmember=1), "--slices", "entire")
    assert [row["auc"] for row in rows] == ["", ""]
    assert all("at least" in row["note"] and row["leaks"] == "" for row in rows)


def broken(**changes):
    return arrays() | changes


def saved(save, *values, **named):
    file = io.BytesIO()
    save(file, *values, **named)
    return file.getvalue()


def damaged_stream():
    """A compressed file whose first member's deflate stream starts with an impossible block."""
    whole = bytearray(saved(np.savez_compressed, **arrays()))
    start = 30 + int.from_bytes(whole[26:28], "little") + int.from_bytes(whole[28:30], "little")
    whole[start : start + 8] = b"\xff" * 8
    return bytes(whole)


def with_header(old, new):
    """A file whose first array's header has `new` for `old`, sound as a zip."""
    whole = saved(np.save, arrays()["member_logits"])
    assert whole.count(old) == 1
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("member_logits.npy", whole.replace(old, new.ljust(len(old))))
    return file.getvalue()


def with_directory(offset, value):
    """A file with one byte of its first entry in the zip directory changed."""
    whole = bytearray(saved(np.savez, **arrays()))
    whole[whole.index(b"PK\x01\x02") + offset] = value
    return bytes(whole)


NAN = arrays()["member_logits"].copy()
NAN[3, 1] = np.nan
HUGE = arrays()["member_logits"].astype(float)
HUGE[3] = [1.7e308, -1.7e308, 0]
BAD = {
    "overflow": (broken(member_logits=HUGE), "above 1e.100"),
    "nan": (broken(member_logits=NAN), "NaN"),
    "shape": (broken(nonmember_logits=np.zeros(300)), "shape"),
    "classes": (broken(nonmember_logits=np.zeros((300, 4))), "classes"),
    "label": (broken(member_labels=np.full(600, 3)), "0..2"),
    "float labels": (broken(member_labels=np.full(600, 0.5)), "integers"),
    "text labels": (broken(member_labels=np.full(600, "cat")), "add the array `classes`"),
    "the same array": (
        broken(nonmember_logits=arrays()["member_logits"], nonmember_labels=arrays()["member_labels"]),
        "outputs of members and non-members are the same 600 rows, allowed: different examples",
    ),
    "empty": (broken(member_logits=np.zeros((0, 3)), member_labels=np.zeros(0, int)), "empty"),
    "missing": ({"member_logits": NAN}, "needs|lacks"),
    "pickle": (
        broken(member_labels=np.array([None] * 600)),
        "plain arrays.* never unpickled, save labels.astype",
    ),
    "not probabilities": (
        {name.replace("logits", "probs"): value for name, value in arrays().items()},
        "probabilities",
    ),
    "a lone array": (saved(np.save, arrays()["member_logits"]), "named plain arrays"),
    "damaged stream": (damaged_stream(), "damaged"),
    "damaged header": (with_header(b", }", b""), "damaged"),
    "header of a huge array": (
        with_header(b"(600, 3), }" + b" " * 12, b"(600000000000000, 3), }"),
        "its shape needs",
    ),
    "compression unknown": (with_directory(10, 99), "damaged"),
    "encrypted": (with_directory(8, 1), "cannot be read"),
    "truncated": (saved(np.savez, **arrays())[:5000], "plain arrays"),
    "no bytes": (b"", "plain arrays"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_that_names_the_file(audit, case):
    values, reason = BAD[case]
    with pytest.raises(UserError, match=reason) as caught:
        audit(values)
    assert "model.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_has_no_score_files(tmp_path):
    (tmp_path / "model.npz").mkdir()
    with pytest.raises(UserError, match=r"model\.npz: a folder without score files, allowed: ") as caught:
        main([str(tmp_path / "model.npz")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_damaged_byte_of_the_file_is_a_user_error_or_none(tmp_path, save):
    whole = saved(save, **arrays(n_member=12, n_nonmember=12))
    path, rng = tmp_path / "model.npz", np.random.default_rng(0)
    for at, value in zip(rng.integers(0, len(whole), 300), rng.integers(0, 256, 300), strict=True):
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
        with contextlib.suppress(UserError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy grumbles about odd headers before it refuses them
            read_outputs(path)


def test_help_lists_what_is_allowed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name in (*SLICES, *registry.known(registry.DEFAULT, default_estimators())):
        assert name in shown


@pytest.mark.parametrize(
    "options", [("--attacks", "svm"), ("--slices", "classes"), ("--mode", "fast"), ("--attacks", ",")]
)
def test_bad_options_list_what_is_allowed(audit, options):
    with pytest.raises(UserError, match=r"allowed: |at least one of"):
        audit(arrays(), *options)


def run_python(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)


def test_command_line_ends_with_2_and_one_line(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    done = run_python("-m", "privacy_report", "audit", str(tmp_path / "bad.npz"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.npz" in done.stderr


def test_the_audit_needs_no_library_of_the_pipeline(tmp_path):
    """A whole audit in a process that cannot import what `pip install privacy-report` leaves out."""
    np.savez(tmp_path / "model.npz", **arrays())
    heavy = ("tensorflow", "keras", "dvc", "hydra", "matplotlib", "jinja2", "PIL", "dp_accounting")
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({heavy}))\n"
        "from privacy_report.__main__ import main\n"
        f"main(['audit', {str(tmp_path / 'model.npz')!r}, '--out', {str(tmp_path / 'out')!r}])"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/privacy.csv").exists()
