"""The shipped file: opened by Keras alone, raw rows in, the logits of the scores out, equal bytes."""

import subprocess
import sys

import numpy as np
import pytest
from small import make_trainer, small_cnn

from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training.data import of_variant
from privacy_report.training.schema import Variant
from privacy_report.training.scoring import Scorer
from privacy_report.training.shipped import difference, ship

# of Keras, when it writes a file with NumPy 2.4
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 120).astype(np.int32)
IMAGES = RNG.integers(0, 256, (120, 16, 16, 1)).astype(np.uint8)
VECTORS = RNG.normal(size=(120, 5)).astype(np.float32)
SCATTERING = Component("privacy_report.training.scattering.scatter_linear", {"angles": 2})
SMALL = small_cnn(filters=2, dense_units=4)
PLAIN_KERAS = """
import sys
import numpy as np
import keras
model = keras.models.load_model({path!r})
assert not any(name.startswith("privacy_report") for name in sys.modules)
held = np.load({rows!r})
found = model.predict(held["rows"], verbose=0)
np.testing.assert_allclose(found, held["logits"], rtol=0, atol={off})
assert (held["rows"].dtype, model.inputs[0].dtype) == (np.uint8, "uint8")
"""


def trained(model, features):
    """(the examples, a checkpoint, its scores)."""
    examples = Prepared(features, LABELS, np.arange(60), np.arange(60, 120), {"n_classes": 3})
    arrays = make_trainer("v", Variant("V", model, epochs=1, epochs_per_report=1), of_variant(examples)).run(
        1
    )
    return examples, arrays, Scorer(model, examples).score(arrays, "epoch_0001")


@pytest.mark.parametrize(("model", "off"), [(SMALL, 0), (SCATTERING, 1e-5)], ids=["small", "scattering"])
def test_plain_keras_opens_it_and_gives_the_logits_of_the_scores(model, off, tmp_path):
    """Bit for bit, or nearly: batches of another size may be computed by another kernel."""
    examples, arrays, scores = trained(model, IMAGES)
    ship(tmp_path / "v.keras", "v", model, arrays, examples)
    np.savez(tmp_path / "rows.npz", rows=IMAGES[examples.nonmember], logits=scores["nonmember_logits"])
    code = PLAIN_KERAS.format(path=str(tmp_path / "v.keras"), rows=str(tmp_path / "rows.npz"), off=off)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("model", "features"),
    [
        (SMALL, IMAGES),
        (SCATTERING, IMAGES),
        (Component("nets.residual.residual_network", {"widths": [2, 4]}), IMAGES),
        (Component("nets.perceptron.perceptron", {"units": [4]}), VECTORS),
        (Component("own_nets.with_own_layer", {"width": 2}), IMAGES),
    ],
    ids=lambda value: getattr(value, "path", ""),
)
def test_all_kinds_of_models_give_the_logits_of_the_scores_and_equal_bytes(model, features, tmp_path):
    examples, arrays, scores = trained(model, features)
    for name in ("a", "b"):
        ship(tmp_path / f"{name}.keras", "v", model, arrays, examples)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    assert difference(tmp_path / "a.keras", model, examples, scores) == (60, 0.0)
    moved = scores | {"nonmember_logits": scores["nonmember_logits"] + 0.5}
    assert difference(tmp_path / "a.keras", model, examples, moved)[1] == pytest.approx(0.5, abs=1e-6)


def test_a_class_that_keras_cannot_write_is_refused_in_one_line(tmp_path):
    model = Component("own_nets.Subclassed")
    examples, arrays, _ = trained(model, IMAGES)
    with pytest.raises(
        UserError, match=r"own_nets\.Subclassed: Keras cannot write its model.*get_config"
    ) as error:
        ship(tmp_path / "a.keras", "v", model, arrays, examples)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
