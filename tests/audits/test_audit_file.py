"""An audit of a file that holds early checkpoints and reference models: what is attacked, what is refused."""

import csv
import doctest
import subprocess
import sys

import numpy as np
import pytest
from planted import planted

from privacy_report.audits import attacks as audit_module
from privacy_report.audits import models
from privacy_report.audits.attacks import audit, audit_params
from privacy_report.audits.audit_file import OPTIONAL, read_audit_file
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import LOGITS, released_to
from privacy_report.pipeline.outputs import output_arrays

WORLD = planted()
N = len(WORLD.labels)
EARLY = np.stack([WORLD.checkpoints[2], WORLD.checkpoints[4]])
BASE = output_arrays(WORLD.outputs(6))
FULL = BASE | {
    "early_logits": EARLY,
    "reference_logits": WORLD.references,
    "reference_is_member": WORLD.trains,
}


@pytest.fixture
def run(tmp_path):
    """Audit arrays by the command; rows of privacy.csv on the entire dataset, by attack."""

    def audited(arrays, *options):
        np.savez(tmp_path / "model.npz", **arrays)
        main([str(tmp_path / "model.npz"), "--slices", "entire", "--out", str(tmp_path / "out"), *options])
        with open(tmp_path / "out/privacy.csv", newline="") as file:
            return {row["attack"]: row for row in csv.DictReader(file)}

    return audited


def without(*names, **more):
    return {name: array for name, array in FULL.items() if name not in names} | more


@pytest.mark.parametrize(
    ("arrays", "attacks"),
    [
        (BASE, []),
        (without("early_logits"), ["lira", "rmia"]),
        (without("reference_logits", "reference_is_member"), ["trajectory"]),
        (FULL, ["trajectory", "lira", "rmia"]),
    ],
)
def test_what_the_file_holds_is_used(run, arrays, attacks, monkeypatch):
    monkeypatch.setattr(models, "SLOWER", ())
    rows = run(arrays)
    assert [name for name in rows if released_to(name) == LOGITS] == [*models.QUICK, *attacks]
    assert all(row["auc"] for row in rows.values())


def test_confidences_do_as_well_as_logits(run):
    phi = {"early_phi": WORLD.phi(EARLY), "reference_phi": WORLD.phi(WORLD.references)}
    assert run(without("early_logits", "reference_logits", **phi)) == run(FULL)


def test_arrays_in_rows_out_as_by_the_command(run):
    written = run(FULL, "--attacks", "trajectory,rmia")
    params = audit_params(["trajectory", "rmia"], ["entire"])
    rows, _ = audit(WORLD.outputs(6), params, "model", WORLD.phi(EARLY), WORLD.as_references)
    for row in rows:
        assert written[row["attack"]]["auc"] == repr(row["auc"])


def test_references_make_the_leak_plain(run):
    """Members' own past and models that others trained say more than the outputs alone."""
    rows = run(FULL, "--attacks", "threshold,trajectory,rmia,placebo")
    aucs = {name: float(row["auc"]) for name, row in rows.items()}
    assert min(aucs["trajectory"], aucs["rmia"]) > aucs["threshold"] + 0.05
    assert float(rows["placebo"]["auc_low"]) < 0.5 < float(rows["placebo"]["auc_high"])


def test_the_docstring_s_example_runs():
    results = doctest.testmod(audit_module)
    assert results.attempted >= 7
    assert results.failed == 0


def changed(name, value, at=(1, 7)):
    """FULL with one value of an array changed."""
    array = FULL[name].copy()
    array[(*at, *[0] * (array.ndim - 2))] = value
    return FULL | {name: array}


def phi_for(name, phi):
    """FULL with confidences instead of a kind of logits."""
    return without(f"{name}_logits", **{f"{name}_phi": phi})


EARLY_PHI, REFERENCE_PHI = WORLD.phi(EARLY), WORLD.phi(WORLD.references)
SPOILED = REFERENCE_PHI.copy()
SPOILED[1, 7] = np.nan
HUGE = EARLY_PHI.astype(float)
HUGE[0, 3] = 1e39
OF_TARGET = WORLD.phi(WORLD.checkpoints[6][None])
BAD = {
    "both kinds of early": (
        FULL | {"early_phi": EARLY_PHI},
        "has early_phi and early_logits, allowed: one of them",
    ),
    "both kinds of references": (
        FULL | {"reference_phi": REFERENCE_PHI},
        "has reference_phi and reference_logits, allowed: one of them",
    ),
    "no memberships": (
        without("reference_is_member"),
        "reference_is_member goes with reference_logits or reference_phi, has only ['early_logits', 'ref",
    ),
    "memberships alone": (
        without("reference_logits"),
        "reference_is_member goes with reference_logits or reference_phi, has only ['early_logits', 'ref",
    ),
    "early logits of one model": (
        FULL | {"early_logits": EARLY[0]},
        "early_logits must be floats (k, 120, 3), members first, got float32 (120, 3)",
    ),
    "early logits of other examples": (
        FULL | {"early_logits": EARLY[:, 1:]},
        "early_logits must be floats (k, 120, 3), members first, got float32 (2, 119, 3)",
    ),
    "reference logits of other classes": (
        FULL | {"reference_logits": WORLD.references[..., :2]},
        "reference_logits must be floats (k, 120, 3), members first, got float32 (4, 120, 2)",
    ),
    "integer logits": (
        FULL | {"reference_logits": WORLD.references.astype(int)},
        "reference_logits must be floats (k, 120, 3), members first, got int64",
    ),
    "early phi of other examples": (
        phi_for("early", EARLY_PHI[:, :-1]),
        "early_phi must be floats (k, 120), members first, got float32 (2, 119)",
    ),
    "reference phi of one model": (
        phi_for("reference", REFERENCE_PHI[0]),
        "reference_phi must be floats (k, 120), members first, got float32 (120,)",
    ),
    "integer phi": (
        phi_for("early", EARLY_PHI.astype(int)),
        "early_phi must be floats (k, 120), members first, got int64 (2, 120)",
    ),
    "no early model": (
        FULL | {"early_logits": EARLY[:0]},
        "early_logits must be of at least one model, got shape (0, 120, 3)",
    ),
    "no early model's phi": (
        phi_for("early", EARLY_PHI[:0]),
        "early_phi must be of at least one model, got shape (0, 120)",
    ),
    "no reference": (
        FULL | {"reference_logits": WORLD.references[:0], "reference_is_member": WORLD.trains[:0]},
        "reference_logits must be of at least one model, got shape (0, 120, 3)",
    ),
    "one reference": (
        FULL | {"reference_logits": WORLD.references[:1], "reference_is_member": WORLD.trains[:1]},
        "references: got 1, allowed: 2 or more",
    ),
    "memberships of other models": (
        FULL | {"reference_is_member": WORLD.trains[:2]},
        "references: got phi (4, 120) and is_member (2, 120), allowed: both (k, n)",
    ),
    "memberships as numbers": (
        FULL | {"reference_is_member": WORLD.trains.astype(int) * 2},
        "reference_is_member must be bool, or 0 and 1, got 2",
    ),
    "a reference twice": (
        FULL | {"reference_logits": WORLD.references[[0, 1, 2, 1]]},
        "references 1 and 3 have the same outputs, allowed: different models",
    ),
    "an early checkpoint diverged": (changed("early_logits", np.nan), "early_logits of model 1: got nan"),
    "a reference diverged": (changed("reference_logits", np.inf), "reference_logits of model 1: got "),
    "a reference's phi diverged": (
        phi_for("reference", SPOILED),
        "reference_phi of model 1: got nan for example 7, allowed: finite numbers (it diverged?)",
    ),
    "phi beyond float32": (phi_for("early", HUGE), "early_phi of model 0: got inf for example 3"),
    "logits beyond float32": (
        FULL | {"early_logits": np.where(np.arange(3) == 0, 1.7e308, -1.7e308) * np.ones((2, N, 1))},
        "early_logits of model 0: got ",
    ),
}


def one_line(path, text):
    """The audit of a file ends in one line that names it and says `text`; without a warning, too."""
    with pytest.raises(UserError) as caught:
        main([str(path), "--out", str(path.parent / "out")])
    assert str(caught.value).startswith(f"{path}: {text}")
    assert "\n" not in str(caught.value)
    assert not (path.parent / "out").exists()


@pytest.mark.parametrize("case", BAD)
def test_bad_evidence_is_one_line_that_names_file_and_array(tmp_path, case):
    arrays, text = BAD[case]
    np.savez(tmp_path / "model.npz", **arrays)
    one_line(tmp_path / "model.npz", text)


@pytest.mark.parametrize("name", OPTIONAL)
def test_evidence_is_never_unpickled(tmp_path, name):
    np.savez(tmp_path / "model.npz", allow_pickle=True, **(FULL | {name: np.array([None, {}])}))
    one_line(tmp_path / "model.npz", "damaged, or not an .npz of named plain arrays")


@pytest.mark.parametrize(
    ("arrays", "who"),
    [
        (phi_for("early", OF_TARGET), "early checkpoint 0"),
        (phi_for("reference", np.vstack([REFERENCE_PHI[:3], OF_TARGET])), "reference 3"),
    ],
)
def test_the_target_is_not_compared_with_itself(run, arrays, who):
    with pytest.raises(
        UserError, match=rf"model\.npz: target and {who} have the same outputs, allowed: different"
    ):
        run(arrays)


def test_the_command_says_so_in_one_line_and_exits_with_2(tmp_path):
    """As a user sees it: nothing else is printed, no warning of an overflow either."""
    arrays, text = BAD["logits beyond float32"]
    np.savez(tmp_path / "model.npz", **arrays)
    done = subprocess.run(
        [sys.executable, "-m", "privacy_report", "audit", str(tmp_path / "model.npz")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'model.npz'}: {text}")


def test_a_file_that_is_sound_holds_what_was_put_in(tmp_path):
    np.savez(tmp_path / "model.npz", **FULL)
    file = read_audit_file(tmp_path / "model.npz")
    assert (file.early_phi == EARLY_PHI).all()
    assert (file.references.phi == REFERENCE_PHI).all()
    assert (file.references.is_member == WORLD.trains).all()
    np.savez(tmp_path / "model.npz", **BASE)
    file = read_audit_file(tmp_path / "model.npz")
    assert (file.early_phi, file.references) == (None, None)
