"""The benchmark of the attacks with reference models, in miniature."""

import json

import numpy as np
import pytest

from benchmarks import reference_calibration
from privacy_report.attack.reference_scores import REFERENCE_SCORES
from privacy_report.errors import UserError
from privacy_report.training.memberships import halves

ATTACKS = {*REFERENCE_SCORES, "trajectory"}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(reference_calibration, "COUNTS", (2, 4))
    monkeypatch.setattr(reference_calibration, "N_TRUTH", 2000)


def run(tmp_path, *options):
    out = tmp_path / "found.json"
    reference_calibration.main(["--draws", "3", "--out", str(out), *options])
    return json.loads(out.read_text())


def test_power_is_measured_against_the_attacks_own_truth(small, tmp_path, capsys):
    measured = run(tmp_path, "--only", "power d=2")
    assert set(measured) == {f"power d=2.0, {k}, {name}" for k in (2, 4) for name in ATTACKS}
    for row in measured.values():
        assert row["leaks"] == 1.0
        assert row["auc_mean"] == pytest.approx(row["auc_true"], abs=0.03)
        assert row["auc_true"] < 0.93
    assert "| power d=2.0 | 4 | rmia | 3 | 1.000 |" in capsys.readouterr().out


def test_null_covers_a_half_where_models_leak_but_labels_are_random(small, tmp_path):
    measured = run(tmp_path, "--only", "null permuted")
    for row in measured.values():
        assert row["auc_true"] == 0.5
        assert row["auc_mean"] == pytest.approx(0.5, abs=0.03)


def test_null_on_a_file_of_real_outputs(small, tmp_path):
    rng, sides = np.random.default_rng(0), halves(900, 4, 0)
    phi = rng.normal(size=(5, 900)).astype(np.float32)
    file = tmp_path / "real.npz"
    np.savez(file, phi=phi[1:] + 2 * sides, is_member=sides, target_phi=phi[0], early_phi=phi[1:3])
    measured = run(tmp_path, "--only", "real", "--file", str(file))
    assert set(measured) == {f"null real, {k}, {name}" for k in (2, 4) for name in ATTACKS}
    np.savez(file, phi=phi, is_member=sides)
    with pytest.raises(UserError, match=r"has no target_phi, allowed"):
        run(tmp_path, "--only", "real", "--file", str(file))
