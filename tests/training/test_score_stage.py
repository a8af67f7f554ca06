"""Stage score: what it scores is what was trained."""

import re

import pytest
from sandbox import make_sandbox

EXPERIMENT = "conf/experiment/smallest.yaml"
NET = """
import keras
import numpy as np

class Mixed(keras.layers.Layer):
    def __init__(self, weight):
        super().__init__()
        self.is_weight = weight

    def build(self, shape):
        matrix = np.random.normal(size=(shape[-1], 32)).astype("float32")
        self.matrix = matrix
        if self.is_weight:
            first = lambda *_, **__: matrix
            self.matrix = self.add_weight(shape=matrix.shape, initializer=first, trainable=False)

    def call(self, x):
        return keras.ops.matmul(x, self.matrix)

def net(shape, n_classes, weight=False, **others):
    layers = [keras.Input(shape), keras.layers.Rescaling(1 / 16), keras.layers.Flatten(), Mixed(weight)]
    return keras.Sequential([*layers, keras.layers.Dense(n_classes)])
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    made = make_sandbox(tmp_path_factory.mktemp("score") / "repository")
    (made.root / "nets/mixed.py").write_text(NET)
    small = "&small {settings: {filters: 4, dense_units: 8}}"
    made.edit(EXPERIMENT, f"model: {small}", "model: {path: nets.mixed.net, settings: {weight: false}}")
    made.edit(EXPERIMENT, "cnn3: {epochs: 2, epochs_per_report: 1, model: *small", f"cnn3: {{model: {small}")
    made.python("-m", "stages.compose")
    made.python("-m", "stages.prepare")
    made.python("-m", "stages.canaries", "cnn2")
    return made


@pytest.mark.slow
def test_a_random_constant_that_is_no_weight_is_refused_and_one_that_is_a_weight_is_not(sandbox):
    sandbox.python("-m", "stages.train", "cnn2")
    done = sandbox.python("-m", "stages.score", "cnn2", check=False)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert re.match(
        r"error: data/train/cnn2/epoch_\d+\.npz: has a validation accuracy of 0\.\d+, and had ", line
    )
    assert line.endswith("; what a model draws at random must be a weight of one of its layers")
    assert "Traceback" not in done.stderr
    sandbox.edit(EXPERIMENT, "weight: false", "weight: true")
    for stage in (["stages.compose"], ["stages.train", "cnn2"], ["stages.score", "cnn2"]):
        sandbox.python("-m", *stage)
