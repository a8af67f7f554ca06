"""`import privacy_report as pr`: what it has, what it costs, and arrays of every kind in."""

import ast
import doctest
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audited import arrays
from sandbox import ROOT

import privacy_report as pr
from privacy_report.audits import api, scored
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.tables import read_rows

ORDER = ("member_logits", "member_labels", "nonmember_logits", "nonmember_labels")
QUICKLY = {"attacks": ["threshold"], "slices": ["entire"]}


def in_order(**drawn):
    values = arrays(**drawn)
    return [values[name] for name in ORDER]


# The package itself


def test_the_names_for_users_are_few_typed_and_described():
    stub = ast.parse((ROOT / "privacy_report/__init__.pyi").read_text())
    typed = {node.names[0].asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom)}
    assert typed == dict.fromkeys(dir(pr), api.__name__)
    assert dir(pr) == ["Audit", "audit", "audit_file", "score"]
    page = (ROOT / "docs/python.md").read_text()
    for name in dir(pr):
        assert getattr(pr, name) is getattr(api, name)
        assert getattr(pr, name).__doc__
        assert f"`pr.{name}" in page
    for name in vars(pr.Audit):
        assert name.startswith("_") or name == "found" or f"`.{name}" in page, name


def test_no_name_for_users_is_that_of_a_module():
    """Or the import of the module would take its place."""
    modules = {path.stem for path in (ROOT / "privacy_report").iterdir()}
    assert modules & set(dir(pr)) == set()


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(AttributeError, match=r"no attribute 'audits_file', it has .*'audit_file'"):
        pr.audits_file  # noqa: B018


HEAVY = ("matplotlib", "numpy", "pandas", "scipy", "sklearn", "tensorflow", "torch")


def test_the_import_loads_no_library():
    code = f"import sys, privacy_report; print([name for name in {HEAVY} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("module", [api, scored], ids=lambda module: module.__name__)
def test_the_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(module)
    assert results.attempted >= 7
    assert results.failed == 0


# What an audit gives


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("strict.yaml").write_text("max_advantage: 0.05\n")
    np.savez("mine.npz", **arrays(shift=3.0))
    return tmp_path


def test_as_in_a_notebook(here):
    audit = pr.audit(*in_order(shift=3.0), attacks=["threshold"], name="mine")
    assert [row["slice"] for row in audit.records] == ["entire dataset", "class=0", "class=1", "class=2"]
    assert audit.leaks == audit.records
    text = audit._repr_html_()
    assert text.count("<tr>") == 5
    auc = [audit.records[0][name] for name in ("auc", "auc_low", "auc_high")]
    assert "<td>{:.3f} [{:.3f}, {:.3f}]</td>".format(*auc) in text
    assert "<td></td>" in text  # too few non-members for 1% FPR
    assert audit.in_words("strict.yaml").startswith("mine: fails; leak detected at epoch 1 by threshold")
    assert audit.gate("strict.yaml")["verdict"] == "breaks the policy"
    assert pr.audit(*in_order(), attacks=["threshold"]).leaks == []


def test_a_file_gives_what_the_command_writes_and_prints(here, capsys):
    main(["mine.npz", "--attacks", "threshold"])
    printed = capsys.readouterr().out
    audit = pr.audit_file("mine.npz", attacks=["threshold"])
    written = read_rows(here / "audit/privacy.csv")
    assert [row["auc"] for row in audit.records] == [row["auc"] for row in written]
    assert [line.rstrip() for line in printed.splitlines()][:-1] == str(audit).splitlines()[:-1]
    assert str(audit).splitlines()[-1] == "Every row and interval: `rows`, or `records`"
    assert audit.gate() == pr.audit(*in_order(shift=3.0), attacks=["threshold"], name="mine").gate()


def test_a_folder_of_epochs_is_one_run(here):
    for epoch in (1, 2):
        np.savez(here / f"epoch_{epoch}.npz", **arrays(shift=float(epoch)))
    (here / "mine.npz").unlink()
    audit = pr.audit_file(here, **QUICKLY)
    assert [row["epoch"] for row in audit.records] == [1, 2]
    assert len(list(api.written.examples(audit.attacked))) == 900  # of the last


def test_a_policy_is_a_file_the_default_or_limits(here):
    audit = pr.audit(*in_order(shift=3.0), **QUICKLY)
    default = (ROOT / "conf/gate/default.yaml").resolve()
    assert audit.gate() == audit.gate(default) == audit.gate(str(default))
    assert audit.gate({"max_advantage": 1.0, "min_val_accuracy": None})["verdict"] == "keeps the policy"
    assert audit.gate({"max_advantage": 0.05})["verdict"] == "breaks the policy"
    with pytest.raises(UserError, match=r"policy\.max_advantge: unknown|max_advantge"):
        audit.gate({"max_advantge": 0.05})


def test_tables_need_pandas_and_say_so(here, monkeypatch):
    audit = pr.audit(*in_order(shift=3.0), **QUICKLY)
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    assert audit.rows == ("frame", audit.records)
    assert audit.examples[1][-1]["side"] == "nonmember"
    monkeypatch.setitem(sys.modules, "pandas", None)
    for name in ("rows", "examples"):
        with pytest.raises(UserError, match=f"{name}: pip install pandas"):
            getattr(audit, name)


def test_tables_are_those_of_the_files(here):
    pytest.importorskip("pandas")
    main(["mine.npz", "--attacks", "threshold"])
    audit = pr.audit_file("mine.npz", attacks=["threshold"])
    assert audit.rows["auc"].tolist() == [row["auc"] for row in read_rows(here / "audit/privacy.csv")]
    assert len(audit.examples) == 900
    assert audit.examples.columns.tolist() == list(api.written.EXAMPLE_COLUMNS)


def test_the_picture_has_a_curve_an_attack_and_chance(here, monkeypatch):
    import matplotlib as mpl

    mpl.use("agg")
    attacks = ["threshold_entropy", "threshold"]  # by AUC
    audit = pr.audit(*in_order(shift=3.0), attacks=attacks, slices=["entire"])
    axes = audit.plot()
    labels = [line.get_label() for line in axes.lines]
    assert [label.partition(",")[0] for label in labels] == [*attacks, "chance"]
    for line, row in zip(axes.lines, sorted(audit.records, key=lambda row: -row["auc"]), strict=False):
        x, y = map(np.asarray, line.get_data())
        area = float((np.diff(x) * y[:-1]).sum())  # of steps, from the least rate that is shown
        assert area == pytest.approx(row["auc"], abs=0.01)
    assert audit.plot(axes) is axes
    axes.figure.clear()
    coins = np.arange(200) % 2 == 0
    np.savez("coins.npz", canary_scores=np.arange(200.0), canary_is_member=coins)
    alone = pr.audit_file("coins.npz")
    assert (alone.records, alone.coins.canaries) == ([], 200)
    for of_outputs in (alone.plot, alone.gate):
        with pytest.raises(UserError, match="coins: has canaries' scores alone"):
            of_outputs()
    monkeypatch.setitem(sys.modules, "privacy_report.audits.picture", None)
    with pytest.raises(UserError, match="plot: pip install matplotlib"):
        audit.plot()


def test_a_dollar_in_a_name_is_drawn_as_one(here):
    import matplotlib as mpl

    mpl.use("agg")
    name = r"$\foo{$"
    np.savez(f"{name}.npz", **arrays(shift=3.0))
    axes = pr.audit_file(f"{name}.npz", **QUICKLY).plot()
    axes.figure.canvas.draw()
    assert axes.get_title() == name
    axes.set_xlabel("$x$")
    assert axes.xaxis.label.get_parse_math()  # the user's own texts are as elsewhere


def test_the_page_says_the_verdict(here):
    audit = pr.audit(*in_order(shift=3.0), **QUICKLY, name="mine")
    audit.to_html("page.html", "strict.yaml")
    assert "Fails; leak detected at epoch 1" in Path("page.html").read_text()
    with pytest.raises(UserError, match=r"to_html: .*: is a folder"):
        audit.to_html(here)


# What it takes


def test_probabilities_are_warned_of_and_taken():
    member, member_labels, nonmember, labels = in_order()
    probs = [np.exp(side) / np.exp(side).sum(axis=1, keepdims=True) for side in (member, nonmember)]
    given = probs[0], member_labels, probs[1], labels
    with pytest.warns(UserWarning, match="look like probabilities") as caught:
        pr.audit(*given, attacks=["threshold"])
    assert caught[0].filename == __file__
    audit = pr.audit(*given, attacks=["threshold"], probabilities=True)
    logits = pr.audit(*in_order(), attacks=["threshold"])
    assert audit.records[0]["auc"] == pytest.approx(logits.records[0]["auc"], abs=1e-4)


def test_labels_as_pandas_has_them():
    given = in_order()
    names = np.array(["cat", "dog", "bird"])
    text = [names[side].astype(object) if side.ndim == 1 else side for side in given]
    audit = pr.audit(*text, attacks=["threshold"], classes=list(names))
    assert audit.records == pr.audit(*given, attacks=["threshold"]).records


class Tensor:
    """As PyTorch's: no array while it has a gradient or is on a device."""

    dtype = "torch.float32"

    def __init__(self, values, ready=0):
        self.values, self.ready = values, ready

    def detach(self):
        return Tensor(self.values, self.ready + 1)

    cpu = detach

    def __array__(self, dtype=None, copy=None):
        assert self.ready == 2, "Can't call numpy() on Tensor that requires grad"
        return np.asarray(self.values, dtype)


def tensors_of(library: str):
    """A function that turns an array into the library's."""
    if library == "a class as PyTorch's":
        return Tensor
    module = pytest.importorskip(library)
    return {
        "tensorflow": lambda values: module.constant(values),
        "torch": lambda values: (
            module.tensor(values, requires_grad=True) if values.dtype.kind == "f" else module.tensor(values)
        ),
        "jax.numpy": lambda values: module.asarray(values),
        "pandas": lambda values: (module.Series if values.ndim == 1 else module.DataFrame)(values),
    }[library]


@pytest.mark.parametrize("library", ["a class as PyTorch's", "tensorflow", "torch", "jax.numpy", "pandas"])
def test_arrays_of_other_libraries(library):
    given = [values.astype(np.float32) if values.ndim == 2 else values for values in in_order(shift=1.0)]
    tensor = tensors_of(library)
    audit = pr.audit(*map(tensor, given), **QUICKLY)
    assert audit.records == pr.audit(*given, **QUICKLY).records
    masks = {"member_is_canary": np.arange(600) < 150, "nonmember_is_canary": np.arange(300) < 150}
    audited = pr.audit(*map(tensor, given), **QUICKLY, **{k: tensor(v) for k, v in masks.items()})
    assert audited.coins == pr.audit(*given, **QUICKLY, **masks).coins
    assert audited.coins.canaries == 300
