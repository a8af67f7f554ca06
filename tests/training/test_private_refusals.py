"""Models that are not trained privately: those that mix examples, or that have losses of their own."""

import keras
import numpy as np
import pytest
from stacks import frozen, stack

from privacy_report.errors import UserError
from privacy_report.training import private_gradient as private

L = keras.layers


def test_layers_that_mix_examples_are_refused_wherever_they_hide():
    inner = keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(name="mixer")])
    with pytest.raises(UserError, match=r"layer mixer: BatchNormalization mixes the examples"):
        private.accept(stack(inner))
    inner.layers[1].trainable = False  # frozen, it uses stored averages and mixes nothing
    assert "is a Sequential" in private.accept(stack(inner))


def test_a_front_that_is_frozen_in_name_alone_is_no_front():
    """Keras's argument leaves the layers inside as they are: they learn."""
    model = stack(keras.Sequential([L.Conv2D(4, 3)], trainable=False))
    assert len(model.trainable_variables) == 4
    assert "is a Sequential" in private.accept(model)


def test_a_frozen_front_that_mixes_examples_is_refused():
    front = frozen(L.Conv2D(2, 3), L.Lambda(lambda x: x - keras.ops.mean(x, 0)))
    with pytest.raises(UserError, match="mixes the examples of a batch"):
        private.accept(stack(front))


class Adding(L.Layer):
    """Adds a loss of its own, in training mode or in both."""

    def __init__(self, only_in_training, **kwargs):
        super().__init__(**kwargs)
        self.only_in_training = only_in_training

    def call(self, x, training=False):
        if training or not self.only_in_training:
            self.add_loss(keras.ops.mean(x))
        return x


class Penalised(L.Layer):
    """A weight with a regularizer that is no attribute of the layer."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", regularizer="l2", name="scale")

    def call(self, x):
        return x * self.scale


@pytest.mark.parametrize(
    "layer",
    [
        L.Conv2D(4, 3, kernel_regularizer="l2", name="rough"),
        L.Conv2D(4, 3, activity_regularizer="l1", name="rough"),
        L.ActivityRegularization(l1=0.1, name="rough"),
        Penalised(name="rough"),
        Adding(True, name="rough"),
        Adding(False, name="rough"),
        keras.Sequential([L.Conv2D(4, 3), Adding(True, name="rough")]),
    ],
    ids=["kernel", "activity", "layer", "weight", "training", "both", "nested"],
)
def test_losses_of_a_models_own_are_refused_and_none_is_left_behind(layer):
    model = stack(layer)
    before = [np.array(value) for value in model.get_weights()]
    with pytest.raises(UserError, match=r"layer rough: its own loss \(a regularizer or add_loss\)"):
        private.accept(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_model_that_adds_to_the_loss_itself_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.inner = stack(L.Conv2D(4, 3))

        def call(self, x):
            self.add_loss(keras.ops.mean(x))
            return self.inner(x)

    inputs = L.Input((9, 8, 3))
    with pytest.raises(UserError, match="layer own: its own loss"):
        private.accept(keras.Model(inputs, Own()(inputs)))
