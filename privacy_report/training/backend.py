"""TensorFlow, set up once for a process: what the bits of a result depend on is pinned here.

The number of threads *inside* an operation changes the order of float additions and so the result's
bits; it is always one. The number of operations that may run at the same time does not: it is the
number of cores, or TF_NUM_INTEROP_THREADS. No GPU is used unless it was chosen (`device`). Importing this
module imports TensorFlow; all others take `keras` and `tf` from here, so that nothing is imported before it
is set up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import take
from privacy_report.training import device
from privacy_report.training.schema import CPU, GPU

if device.chosen() == CPU:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU would give other bits
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # and so would other kernels,
for _name in ("TF_XLA_FLAGS", "XLA_FLAGS"):  # a compiler that fuses them,
    os.environ.pop(_name, None)
os.environ["KERAS_BACKEND"] = "tensorflow"  # and what a user's ~/.keras/keras.json says
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong is raised, not only logged


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence for TensorFlow's C++ side, which greets on stderr before it reads its log level."""
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


with _quiet():
    import keras
    import tensorflow as tf

keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")
keras.config.set_epsilon(1e-7)

PREDICT_BATCH = 50  # larger batches fall out of the processor's caches and are slower
CHUNK = 2500  # examples a graph call: Python, and with it Ctrl-C, gets its turn in between

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(
    int(os.environ.get("TF_NUM_INTEROP_THREADS") or os.cpu_count() or 1)
)

if device.chosen() == GPU:
    if not tf.config.list_physical_devices("GPU"):
        raise UserError(
            "backend.device: got 'gpu', but TensorFlow sees no GPU here; install tensorflow[and-cuda] and a "
            "driver, or choose cpu"
        )
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)


def to_input(features: tf.Tensor) -> tf.Tensor:
    """Features as the models take them: float32, from uint8 in [0, 1], others as they are."""
    scaled = tf.cast(features, tf.float32)
    return scaled / 255.0 if features.dtype == tf.uint8 else scaled


def predictor(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function (images, indices) -> logits that runs `model` in the graph, batch by batch.

    images: uint8 or float32 (n, ...), may be memory-mapped: no more than `CHUNK` are read at once.
    indices: integers (m,). Returns float32 (m, n_classes) in the order of `indices`.
    """

    @tf.function(reduce_retracing=True)
    def logits_of(images: tf.Tensor) -> tf.Tensor:
        n = tf.shape(images)[0]
        steps = (n + PREDICT_BATCH - 1) // PREDICT_BATCH
        out = tf.TensorArray(
            tf.float32, size=steps, infer_shape=False, element_shape=(None, model.output_shape[-1])
        )
        for step in tf.range(steps):
            batch = images[step * PREDICT_BATCH : (step + 1) * PREDICT_BATCH]
            out = out.write(step, model(to_input(batch), training=False))
        return out.concat()

    def predict(images: np.ndarray, indices: np.ndarray) -> np.ndarray:
        parts = [
            logits_of(tf.constant(take(images, indices[start : start + CHUNK]))).numpy()
            for start in range(0, len(indices), CHUNK)
        ]
        return np.concatenate(parts)

    return predict
