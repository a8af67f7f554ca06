"""`pr.score`: what models of Keras, scikit-learn and PyTorch, and plain functions, say becomes logits."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import privacy_report as pr
from privacy_report.audits.scored import as_array
from privacy_report.errors import UserError


def test_halves_of_floats_that_numpy_lacks():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    floats = as_array(np.array([1.5, -2.0]).astype(bfloat16))
    assert (floats.dtype, floats.tolist()) == (np.float32, [1.5, -2.0])


class Fixed:
    """A Keras-like, scikit-learn-like or plain model that says what it was given to say."""

    def __init__(self, outputs):
        self.outputs = np.asarray(outputs, float)

    def __call__(self, x):
        return self.outputs


PROBS = [[0.25, 0.75], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("outputs", "logits"),
    [
        (PROBS, np.log(np.maximum(PROBS, np.finfo(float).tiny))),
        ([[0.25, 0.5], [1, 0]], [[0.25, 0.5], [1, 0]]),
        ([0.75, 0.0], np.log(np.maximum(PROBS, np.finfo(float).tiny))),
        ([[2.0], [-3.0]], [[0, 2], [0, -3]]),
    ],
    ids=["probabilities", "logits", "one probability", "one logit"],
)
def test_what_a_model_says_becomes_logits(outputs, logits):
    scored, labels = pr.score(Fixed(outputs), np.zeros((2, 5)), [1, 0])
    assert scored.tolist() == np.asarray(logits, float).tolist()
    assert labels.tolist() == [1, 0]


def test_models_that_score_cannot_run_are_refused():
    for outputs, said in [
        (np.zeros((3, 2)), r"\(3, 2\) and 2 labels"),
        (np.zeros((2, 2, 2)), "a row each"),
    ]:
        with pytest.raises(UserError, match=said):
            pr.score(Fixed(outputs), np.zeros((2, 5)), [1, 0])
    with pytest.raises(UserError, match="got a list that is no array"):
        pr.score(lambda x: [[1.0, 2.0], [3.0]], np.zeros((2, 5)), [1, 0])
    with pytest.raises(UserError, match="got str, allowed: a model of scikit-learn"):
        pr.score("model", np.zeros((2, 5)), [1, 0])


def test_a_model_of_scikit_learn_brings_its_classes():
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["a", "a", "b", "b"])
    model = LogisticRegression().fit(x, y)
    logits, labels = pr.score(model, x, y)
    assert labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(np.exp(logits), model.predict_proba(x))
    with pytest.raises(UserError, match="got the label 'c', allowed: a, b"):
        pr.score(model, x, ["a", "b", "b", "c"])


@pytest.mark.parametrize("linear", [True, False])
def test_a_model_of_keras_with_one_output(linear):
    """Logits that all lie in 0..1 are logits still, since the last layer is linear."""
    keras = pytest.importorskip("keras")
    last = keras.layers.Dense(1, "linear" if linear else "sigmoid", kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), last])
    x = np.array([[0.25], [0.5]], np.float32)
    logits, _ = pr.score(model, x, [0, 1])
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], x[:, 0], rtol=1e-5)


def test_a_model_of_pytorch_is_run_in_inference_mode_and_left_as_it_was():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    x = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    logits, labels = pr.score(model, x, torch.arange(10) % 3, batch_size=3)
    with torch.no_grad():
        expected = model[0](torch.tensor(x)).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    assert model.training
    assert labels.tolist() == [*range(3), *range(3), *range(3), 0]
