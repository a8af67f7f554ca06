"""References train on whom their memberships name: what the stage writes of those that overfit."""

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
from stages import reference

N, MEMBERS, CANARIES, EPOCHS = 240, 160, 60, 30


@pytest.fixture
def written(tmp_path, monkeypatch) -> Path:
    """What stage reference writes of two references of 240 digits; the cluster's part is done here."""
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
    params = {"variants": {"v": config}, "reference": {"models": 2, "epochs": EPOCHS}}
    Path("params.yaml").write_text(yaml.safe_dump(params | {"backend": {"device": "cpu"}}), "utf-8")

    def here(chains, label):
        for chain in chains:
            chain.keep(chain.model.interval(chain.stored(), chain.next()))

    monkeypatch.setattr(engine, "train", here)
    reference.main(["v"])
    return reference.OUTPUTS / "v"


def test_a_reference_is_surer_of_those_it_trains_on(written):
    """By their labels: of canaries, which have wrong ones, only whoever trained on one is sure at all."""
    for part, n, least in (("", N - CANARIES, 0.5), ("canaries", CANARIES, 3.0)):
        trains = np.load(written / part / "trains.npy")
        phi = np.load(written / part / f"phi_{EPOCHS:04}.npy")
        assert trains.shape == phi.shape == (2, n)
        assert (trains.sum(axis=0) == 1).all()
        for one, members in zip(phi, trains, strict=True):
            assert one[members].mean() - one[~members].mean() > least
