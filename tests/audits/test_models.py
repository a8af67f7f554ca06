"""Audits of several files against a policy, in the shapes that they come in, and from Python."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from audited import arrays

from privacy_report.attack import registry
from privacy_report.audits.attacks import default_estimators
from privacy_report.audits.audit_file import read_audit_file
from privacy_report.audits.models import QUICK, SLOWER, attack_model, default_attacks, models_at
from privacy_report.commands.audit import main
from privacy_report.errors import UserError

LOOSE, STRICT = "max_advantage: 0.3\n", "max_advantage: 0.05\n"
QUICKLY = ["--attacks", "threshold", "--slices", "entire,class"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with two models and two policies."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", **arrays())
    np.savez("b.npz", **arrays(shift=3.0))
    Path("loose.yaml").write_text(LOOSE)
    Path("strict.yaml").write_text(STRICT)
    return tmp_path


def code(*args):
    """The exit code of the command."""
    try:
        main([*args, *QUICKLY])
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_exit_code_says_whether_all_keep_the_policy(here, capsys):
    assert code("a.npz", "--gate", "loose.yaml") == 0
    assert (
        "a: passes at epoch 1; no leak detected at epoch 1 (detectable: an advantage of "
        in capsys.readouterr().out
    )
    assert code("a.npz", "b.npz", "--gate", "loose.yaml") == 1
    said = capsys.readouterr().out
    assert "a: passes" in said
    assert "b: fails; leak detected at epoch 1 by threshold" in said
    assert code("a.npz", "--gate", "strict.yaml") == 1  # so few examples cannot show so little
    for name in ("a", "b"):
        assert Path(f"audit/{name}/privacy.csv").exists()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("", "there is no policy"),
        ("max_advantge: 1", "unknown key, allowed: max_advantage"),
        ("{", "not YAML"),
        (None, "cannot be read"),
        ("[1]", "must be a mapping"),
    ],
)
def test_what_is_no_policy_is_one_line(here, policy, said):
    if policy is not None:
        Path("p.yaml").write_text(policy)
    with pytest.raises(UserError, match=rf"^p\.yaml[^\n]*{said}[^\n]*$"):
        main(["a.npz", "--gate", "p.yaml", *QUICKLY])


def test_a_policy_that_cannot_be_judged_is_not_kept(here, capsys):
    Path("epsilon.yaml").write_text("max_tpr_at_1pct_fpr: 0.5\n")  # 300 non-members are too few
    assert code("a.npz", "--gate", "epsilon.yaml") == 1
    assert "a: cannot be judged" in capsys.readouterr().out


def test_the_page_is_the_reports(here):
    assert code("a.npz", "b.npz", "--gate", "loose.yaml", "--html", "page.html") == 1
    text = Path("page.html").read_text()
    assert "<strong>Not tried: reference models, canaries.</strong>" in text
    assert "Passes at epoch 1; no leak detected." in text
    assert "Fails; leak detected at epoch 1." in text
    assert "<svg" in text
    assert "<li><img" not in text  # nobody said that the data were public
    with pytest.raises(UserError, match="--html: the page is a verdict and needs a policy"):
        main(["a.npz", "--html", "page.html"])


def test_a_library_that_the_page_needs_is_missed_before_the_attacks(here, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "privacy_report.report"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as in an environment without it
    with pytest.raises(UserError, match=r"^--html needs matplotlib: pip install '\.\[page\]' in a clone$"):
        main(["a.npz", "--gate", "loose.yaml", "--html", "page.html"])
    assert capsys.readouterr().out == ""


def test_a_folder_is_one_model_by_epoch(here, capsys):
    Path("run").mkdir()
    for epoch, shift in ((10, 3.0), (2, 0.0)):
        np.savez(f"run/epoch_{epoch}.npz", **arrays(shift=shift))
    assert code("run", "--gate", "loose.yaml") == 0
    assert "run: passes at epoch 2" in capsys.readouterr().out
    with open("audit/privacy.csv", newline="") as file:
        assert list(dict.fromkeys(row["epoch"] for row in csv.DictReader(file))) == ["2", "10"]


def test_names_without_epochs_are_refused_unless_each_is_a_model(here):
    for name in ("run/b", "run/a", "x/a", "again/epoch_2", "again/2"):
        Path(name).parent.mkdir(exist_ok=True)
        np.savez(f"{name}.npz", **arrays())
    with pytest.raises(
        UserError, match=r"^run/a\.npz: its name must end in its epoch, such as epoch_0002\.npz"
    ):
        models_at([Path("run")])
    with pytest.raises(
        UserError, match=r"^again/epoch_2\.npz: epoch 2, as again/2\.npz; --models takes each"
    ):
        models_at([Path("again")])
    models = models_at([Path("run"), Path("b.npz").with_name("again")], separate=True)
    assert [(model.name, dict(model.files)) for model in models] == [
        (Path(name).name, {1: Path(f"{name}.npz")}) for name in ("run/a", "run/b", "again/2", "again/epoch_2")
    ]
    with pytest.raises(UserError, match="two models are called 'a'"):
        models_at([Path("a.npz"), Path("x/a.npz")])
    assert code("run", "--models", "--gate", "loose.yaml") == 0
    assert {path.name for path in Path("audit").iterdir()} == {"a", "b"}


def test_logits_that_look_like_probabilities_are_warned_of(here, capsys):
    values = arrays()
    for side in ("member", "nonmember"):
        exp = np.exp(values[f"{side}_logits"])
        values[f"{side}_logits"] = exp / exp.sum(axis=1, keepdims=True)
    np.savez("p.npz", **values)
    assert code("p.npz") == 0
    said = capsys.readouterr().err
    assert said.startswith("warning: p.npz: member_logits and nonmember_logits look like probabilities")
    assert said.count("\n") == 1
    assert code("a.npz") == 0
    assert capsys.readouterr().err == ""


def two_classes():
    values = arrays()
    for side in ("member", "nonmember"):
        values[f"{side}_logits"] = values[f"{side}_logits"][:, :2]
        values[f"{side}_labels"] = values[f"{side}_labels"] % 2
    return values


def as_csv(values, path, prefix="logit_", names=("0", "1", "2")):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["side", "label", *(f"{prefix}{name}" for name in names)])
        for side in ("member", "nonmember"):
            for logits, label in zip(values[f"{side}_logits"], values[f"{side}_labels"], strict=True):
                writer.writerow([side, names[label], *map(repr, logits.tolist())])


def same(file, expected):
    a, b = file.outputs, expected
    for side in ("member", "nonmember"):
        np.testing.assert_array_equal(getattr(a, f"{side}_labels"), b[f"{side}_labels"])
        given = b[f"{side}_logits"]
        ours = getattr(a, f"{side}_logits")[:]
        np.testing.assert_allclose(np.diff(ours, axis=1), np.diff(given, axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("names", [("0", "1", "2"), ("cat", "dog", "bird")])
def test_a_table_of_outputs(here, names):
    as_csv(arrays(), "t.csv", names=names)
    same(read_audit_file("t.csv"), arrays())


def test_a_folder_of_arrays(here):
    Path("run").mkdir()
    for name, values in arrays().items():
        np.save(f"run/{name}.npy", values)
    same(read_audit_file("run"), arrays())


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_two_classes_in_one_column(here, shape, kind):
    values = two_classes()
    given = dict(values)
    for side in ("member", "nonmember"):
        logit = np.diff(given.pop(f"{side}_logits").astype(float), axis=1)
        given[f"{side}_{kind}"] = (logit if kind == "logits" else 1 / (1 + np.exp(-logit))).reshape(shape)
    np.savez("two.npz", **given)
    same(read_audit_file("two.npz"), values)


@pytest.mark.parametrize(
    "form", [lambda y: y.astype(float), lambda y: y[:, None], lambda y: np.array(["cat", "dog", "bird"])[y]]
)
def test_labels_in_other_forms(here, form):
    given = arrays()
    given |= {name: form(values) for name, values in given.items() if name.endswith("labels")}
    np.savez("labels.npz", classes=np.array(["cat", "dog", "bird"]), **given)
    same(read_audit_file("labels.npz"), arrays())


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda: np.save("x.npy", np.zeros(3)),
            r"x\.npy: holds one array, needs .* into one folder",
        ),
        (lambda: Path("x.npy").write_text("side,label\nmember,0\n"), r"x\.npy: holds one array"),
        (lambda: Path("x.csv").write_text("side,label\nmember,0\n"), r"x\.csv: got the columns \['side', "),
        (lambda: Path("x.csv").write_text("side,label,prob\nmember,0,high\n"), r"x\.csv: .* must be numbers"),
        (lambda: Path("x.csv").write_text("side,label,prob\nin,0,0.5\n"), r"got the sides \['in'\], allowed"),
        (
            lambda: Path("x.csv").write_text("side,score\nmember,1\nnonmember,0\nnon-member,2\n"),
            r"got the sides \['non-member'\], allowed",
        ),
        (
            lambda: Path("x.csv").write_text("side,label,prediction\nmember,0,0\nnonmember ,0,0\n"),
            r"got the sides \['nonmember '\], allowed",
        ),
        (
            lambda: Path("x.csv").write_text("side,label,prediction,prob_a,prob_b\nmember,a,a,0.9,0.1\n"),
            r"x\.csv: got the columns .* allowed: side .* label, and logit_CLASS",
        ),
        (
            lambda: Path("x.csv").write_text("side,label,score\nmember,0,1\n"),
            r"x\.csv: got the columns .* or side and score alone",
        ),
        (lambda: Path("x.csv").write_bytes(b"\xff\xfe"), r"x\.csv: cannot be read as CSV"),
        (
            lambda: Path("x.csv").write_text("side,label,prob,person\nmember,0,0.5,a\nmember,1,0.5\n"),
            r"x\.csv: row 2 has more or fewer cells than the header, allowed: as many",
        ),
        (lambda: Path("x.csv").write_text("side,score\nmember,0,1\n"), r"x\.csv: row 1 has more or fewer"),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_remedy(here, write, said):
    write()
    (path,) = (path for path in Path().glob("x.*"))
    with pytest.raises(UserError, match=said) as caught:
        read_audit_file(path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_one_kind_of_files(here):
    given = arrays()
    Path("run").mkdir()
    sides, kinds = ("member", "nonmember"), ("labels", "predictions")
    labels = {f"{side}_{kind}": given[f"{side}_labels"] for side in sides for kind in kinds}
    np.savez("run/e_1.npz", **labels)
    np.savez("run/e_2.npz", **given)
    (model,) = models_at([Path("run")])
    with pytest.raises(UserError, match=r"e_2\.npz: got a model's outputs, allowed: predictions, as in"):
        attack_model(model, None, {"slices": ["entire"]})


def test_unknown_classes_are_named(here):
    given = arrays() | {"member_labels": np.full(600, "cow"), "classes": np.array(["cat", "dog", "bird"])}
    np.savez("labels.npz", **given)
    with pytest.raises(UserError, match="member_labels got 'cow', allowed: cat, dog, bird"):
        read_audit_file("labels.npz")


def test_default_attacks_are_all_that_are_quick_enough(here):
    file = read_audit_file("a.npz")
    assert default_attacks(file) == [*QUICK, *SLOWER]
    assert set(default_attacks(file, registry.PARITY)) == set(registry.known(registry.PARITY))
    assert set(QUICK) | set(SLOWER) <= set(registry.known(registry.DEFAULT, default_estimators()))
    np.savez("large.npz", **arrays(n_member=50_000, n_nonmember=10_001))
    assert default_attacks(read_audit_file("large.npz")) == [*QUICK]
    many = {name: np.tile(array, 11) if array.ndim == 2 else array for name, array in arrays().items()}
    np.savez("classes.npz", **many)
    assert default_attacks(read_audit_file("classes.npz")) == [*QUICK]
