"""Two ordinary epochs of a tiny model, to the digits that they gave when they were written down."""

import numpy as np
import pytest
from small import make_trainer, small_cnn

from privacy_report.training.data import Data
from privacy_report.training.ordinary import Ordinary
from privacy_report.training.schema import Variant

MODEL = small_cnn(num_conv=1, filters=2, dense_units=4)
CONFIG = Variant(label="V", model=MODEL, batch_size=8, epochs=2, epochs_per_report=1)
GOLDEN = {
    "running_loss": [1.1504201, 1.147399],
    "val_loss": [1.2138181, 1.2141266],
}


def data():
    """Forty images of a formula, the first 24 to train on and the others to validate."""
    images = (np.arange(40 * 36) * 37 % 251).astype(np.uint8).reshape(40, 6, 6, 1)
    return Data(images, np.arange(40) % 3, np.arange(24), np.arange(24, 40), 3)


def trainer():
    made = make_trainer("v", CONFIG, data())
    for i, variable in enumerate(made.model.trainable_variables):
        size = int(np.prod(variable.shape))
        variable.assign(np.reshape(np.sin(np.arange(size) + i) / 2, variable.shape))
    return made


def test_two_epochs_give_the_recorded_losses():
    """Another learning rate, other batches, or a validation on the training examples would not."""
    made = trainer()
    epochs = [made.run(epoch) for epoch in (1, 2)]
    for name, expected in GOLDEN.items():
        values = [float(arrays[f"history/{name}"]) for arrays in epochs]
        assert values == pytest.approx(expected, rel=1e-5), name


def test_every_epoch_has_an_order_of_its_own():
    regime = Ordinary("v", CONFIG, 24)
    first, second = (regime.batches(epoch).rows for epoch in (1, 2))
    assert sorted(first.ravel()) == sorted(second.ravel()) == list(range(24))
    assert not np.array_equal(first, second)
