"""Losses that leave less of an example in the model than cross-entropy does, for a variant's `loss`.

Each takes labels, integers (b,), and logits (b, C), and gives a loss per example, (b,), in nats. Below, p is
the softmax of an example's logits and y its label.
"""

from __future__ import annotations

from privacy_report.errors import refuse
from privacy_report.training.backend import tf

SMALLEST = 1e-30
"""In place of 1 - p_y where that is 0: a power below 1 has no slope there."""


def label_smoothing(labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.1) -> tf.Tensor:
    """(1 - s) (-log p_y) + s times the mean over all classes of -log p_c, s being `smoothing`.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7, with
    the uniform distribution over labels.
    """
    if not 0 <= smoothing < 1:
        raise refuse("smoothing", smoothing, "0 <= smoothing < 1")
    log_p = tf.nn.log_softmax(logits)
    return -(1 - smoothing) * _at(labels, log_p) - smoothing * tf.reduce_mean(log_p, 1)


def confidence_penalty(labels: tf.Tensor, logits: tf.Tensor, beta: float = 0.1) -> tf.Tensor:
    """-log p_y - beta H(p), where H(p) is the entropy of the output.

    Source: Pereyra et al., "Regularizing neural networks by penalizing confident output distributions", 2017
    (arXiv 1701.06548), section 3.
    """
    if not beta >= 0:
        raise refuse("beta", beta, "at least 0")
    log_p = tf.nn.log_softmax(logits)
    return -_at(labels, log_p) + beta * tf.reduce_sum(tf.exp(log_p) * log_p, 1)


def focal_loss(labels: tf.Tensor, logits: tf.Tensor, gamma: float = 2.0) -> tf.Tensor:
    """(1 - p_y)^gamma (-log p_y): examples that the model is sure of count less.

    Source: Lin et al., "Focal loss for dense object detection", 2017 (arXiv 1708.02002), section 3.2, for
    more than two classes; gamma 0 is cross-entropy.
    """
    if not gamma >= 0:
        raise refuse("gamma", gamma, "at least 0")
    log_p = _at(labels, tf.nn.log_softmax(logits))
    missing = tf.maximum(-tf.math.expm1(log_p), SMALLEST)
    return -tf.pow(missing, gamma) * log_p


def relax_loss(labels: tf.Tensor, logits: tf.Tensor, alpha: float = 1.0) -> tf.Tensor:
    """RelaxLoss, example by example: where the cross-entropy is below alpha, training undoes a part of it.

    Source: Chen, Yu & Fritz, "RelaxLoss: defending membership inference attacks without losing utility", 2022
    (arXiv 2207.05801), as the authors' code has it (DingfanChen/RelaxLoss on GitHub, `defense/relaxloss.py`
    of source/nonimage). It compares the mean cross-entropy of a batch with alpha. Below alpha, it climbs the
    cross-entropy in the epochs of one parity, and in the others it descends the cross-entropy with soft
    labels t: t_y = p_y, and (1 - p_y) / (C - 1) for each other class. Three things differ here. With the
    first two the loss is one of each example, which private training needs, and the same in every epoch:

    - each example's own cross-entropy is compared with alpha, not the batch's mean;
    - below alpha both happen at once, each at half the weight: (-CE(y, p) + CE(t, p)) / 2. That is the mean
      of what the code does in two epochs;
    - t is held constant, as labels are; the code takes slopes of t, too, and can cap p_y in it.

    From alpha on the loss is the cross-entropy. So the slopes in the logits are p - y there, and (y - t) / 2
    below alpha: the label's logit falls, and all others rise alike.

    In source/cifar the same file has other epochs of the second parity: they descend the cross-entropy with t
    only of examples that are classified wrongly, and climb that with y of all.
    """
    if not alpha >= 0:
        raise refuse("alpha", alpha, "at least 0")
    log_p = tf.nn.log_softmax(logits)
    hard = -_at(labels, log_p)
    right = tf.exp(-hard)[:, None]
    others = (1 - right) / tf.cast(tf.shape(logits)[1] - 1, tf.float32)
    targets = tf.where(_one_hot(labels, logits), right, others)
    soft = -tf.reduce_sum(tf.stop_gradient(targets) * log_p, 1)
    return tf.where(hard < alpha, (soft - hard) / 2, hard)


def _one_hot(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Bool (b, C): which class is the label."""
    return tf.one_hot(labels, tf.shape(logits)[1], on_value=True, off_value=False)


def _at(labels: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The label's value of each row, (b,)."""
    return tf.reduce_sum(tf.where(_one_hot(labels, values), values, 0.0), 1)
