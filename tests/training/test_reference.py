"""References train on whom their memberships name: what the stage writes of those that overfit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from small import small_cnn

from privacy_report.datasets import canaries, digits, preparation, prepared
from privacy_report.datasets.canary_draw import drawn, write
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.splits import Membership
from privacy_report.training import engine
from privacy_report.training.references import KIND
from stages import reference

N, MEMBERS, CANARIES, EPOCHS = 240, 160, 60, 30


@pytest.fixture
def stage(tmp_path, monkeypatch) -> Callable[..., Path]:
    """A function: what stage reference writes of two references of 240 digits, of a variant with `more`.

    The cluster's part is done here.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    whole, rows = digits.load(), np.arange(N, dtype=np.int32)
    examples = LabelledImages(whole.images[:N], whole.labels[:N], whole.class_names, {"all": range(N)})
    preparation.write(prepared.FOLDER, "digits", examples, Membership(rows[:MEMBERS], rows[MEMBERS:]))
    write(canaries.path_of("v"), drawn(prepared.read(), CanaryParams(CANARIES)))
    model = small_cnn(num_conv=1, filters=16, dense_units=64)
    config = {
        "label": "V",
        "model": {"path": model.path, "settings": model.settings},
        "batch_size": 20,
        "epochs": EPOCHS,
        "epochs_per_report": EPOCHS,
        "canaries": {"count": CANARIES},
    }
    params = {"reference": {"models": 2, "epochs": EPOCHS}, "backend": {"device": "cpu"}}

    def here(chains, label):
        for chain in chains:
            chain.keep(chain.model.interval(chain.stored(), chain.next()))

    monkeypatch.setattr(engine, "train", here)

    def write_references(**more) -> Path:
        Path("params.yaml").write_text(yaml.safe_dump(params | {"variants": {"v": config | more}}), "utf-8")
        reference.main(["v"])
        return reference.OUTPUTS / "v"

    return write_references


def test_more_queries_are_more_columns_next_to_the_same_numbers(stage):
    one_query = {
        subfolder: np.load(stage() / subfolder / f"phi_{EPOCHS:04}.npy") for subfolder in ("", "canaries")
    }
    written = stage(queries={"mirror": True, "shift": 1})
    for subfolder, alone in one_query.items():
        phi = np.load(written / subfolder / f"phi_{EPOCHS:04}.npy")
        assert phi.dtype == np.float32
        assert phi.shape == (2, 6, alone.shape[1])
        np.testing.assert_array_equal(phi[:, 0], alone)
        assert all(not np.allclose(phi[:, i], alone, atol=0.1) for i in range(1, 6))


def test_what_is_damaged_in_the_store_is_trained_again(stage, capsys):
    before = {path.name: path.read_bytes() for path in stage().glob("*.npy")}
    entry = next(iter(Path(".store", KIND).iterdir()))
    entry.chmod(0o600)
    entry.write_bytes(entry.read_bytes()[:500])
    assert {path.name: path.read_bytes() for path in stage().glob("*.npy")} == before
    assert capsys.readouterr().err.count("store: a damaged entry is set aside as") == 1


def test_a_reference_is_surer_of_those_it_trains_on(stage):
    """By their labels: of canaries, which have wrong ones, only whoever trained on one is sure at all."""
    written = stage()
    for subfolder, n, least in (("", N - CANARIES, 0.5), ("canaries", CANARIES, 3.0)):
        trains = np.load(written / subfolder / "trains.npy")
        phi = np.load(written / subfolder / f"phi_{EPOCHS:04}.npy")
        assert trains.shape == phi.shape == (2, n)
        assert (trains.sum(axis=0) == 1).all()
        for confidences, members in zip(phi, trains, strict=True):
            assert confidences[members].mean() - confidences[~members].mean() > least
