"""Differentially private training (DP-SGD): Poisson-sampled batches, clipped and noised gradients.

Each epoch is checked by what it applied (`self_check`). An audit twin may have gradient canaries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from privacy_report.errors import UserError
from privacy_report.training import accounting, isolation, private_gradient, sampling, self_check
from privacy_report.training.backend import keras, tf
from privacy_report.training.epochs import Batches, Gradient
from privacy_report.training.gradient_canaries import GradientCanaries
from privacy_report.training.objective import Loss
from privacy_report.training.private_arrays import FINGERPRINTS, P_VALUES
from privacy_report.training.private_gradient import Step
from privacy_report.training.regime import Spent
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.self_check import Drawn, adjusted, rounded
from privacy_report.training.watch import Watch

MOST_STEPS = 10**7
"""Of a run, for the buffer that its batches fit: its own number of steps would make epochs depend on it."""


class Private:
    """Each example's gradient clipped, the sum noised, over the expected batch size. See `regime.Regime`.

    Of config.canaries, gradients are added here; those of other kinds are examples as others. Raises
    UserError for a delta that is no guarantee, an unreachable target or a batch size above n.
    """

    def __init__(self, name: str, config: Variant, n: int):
        assert config.privacy is not None
        self.name = name
        self.canary_params = config.gradient_canaries
        self.privacy: Privacy = config.privacy
        self.n, self.batch_size = n, config.batch_size
        sampling.check_batch_size(n, self.batch_size)
        accounting.check_delta(self.privacy.delta, n)
        self.steps = sampling.poisson_steps(n, self.batch_size)
        total = self.steps * config.epochs
        self.capacity = accounting.batch_capacity(n, self.batch_size, MOST_STEPS)
        self.noise_multiplier = self.privacy.noise_multiplier or accounting.noise_for(
            self.privacy.target_epsilon or math.nan, self.batch_size / n, total, self.privacy.delta
        )
        self._entropy = sampling.private_entropy(self.privacy.seed, config.seed, name)
        self._watch: Watch | None = None
        self._canaries: GradientCanaries | None = None
        self._drawn: Drawn | None = None
        self._step: Step | None = None
        self.restore({})

    def batches(self, epoch: int) -> Batches:
        rows, sizes = sampling.poisson_batches(self._entropy, epoch, self.n, self.batch_size, self.capacity)
        self._drawn = Drawn(rows, sizes, self.n, self.batch_size / self.n, sizes)
        if self._watch:
            self._watch.begin(epoch)
        if self._canaries:
            self._canaries.begin(self._entropy, epoch)
        return Batches(rows, sizes, sampling.step_seeds(self._entropy, epoch, self.steps))

    def handed(self, sizes: np.ndarray) -> None:
        assert self._drawn is not None
        self._drawn = self._drawn._replace(handed=sizes)

    def gradient(self, model: keras.Model, loss: Loss) -> Gradient:
        if remark := private_gradient.accept(model, loss):
            print(remark, flush=True)
        clip, noise, size = self.privacy.l2_norm_clip, self.noise_multiplier, self.batch_size
        is_random, has_canaries = isolation.is_random(model), self.canary_params is not None
        self._watch = Watch(model, self.steps, noise * clip, clip, size, is_random, has_canaries, loss)
        if self.canary_params:
            self._canaries = GradientCanaries(
                self.canary_params, model, self.steps, size / self.n, noise, clip, size, private_gradient.clip
            )
        added = self._canaries.added if self._canaries else None
        return private_gradient.gradient(model, clip, noise, size, added, self._computed, loss)

    def _computed(self, step: Step) -> None:
        """A step as it was computed, in the graph; what is made of it until `applied` must not go unseen."""
        self._step = step

    def applied(self, gradients: Sequence[tf.Tensor]) -> None:
        assert self._watch is not None
        assert self._step is not None
        step = self._step._replace(gradients=list(gradients))
        self._watch.see(step)
        if self._canaries:
            self._canaries.see(step)

    def spent(self, epoch: int) -> Spent:
        """The budget spent; UserError of one line where `epoch` was trained just now and fails a check."""
        if self._watch and self._watch.has_seen(epoch):
            self._check(epoch, self._watch)
        epsilon = accounting.spent_epsilon(
            self.noise_multiplier, self.batch_size / self.n, self.steps * epoch, self.privacy.delta
        )
        return Spent(epsilon.pld, epsilon.rdp, self.noise_multiplier)

    def _check(self, epoch: int, watch: Watch) -> None:
        assert self._drawn is not None
        seen = watch.seen()
        key = self._entropy.to_bytes(sampling.ENTROPY_BITS // 8, "big")
        fingerprints = self_check.fingerprints(seen, key)
        before = [rows for number, rows in self._fingerprints.items() if number < epoch]
        earlier = np.concatenate([np.empty(0, np.uint64), *before])
        checks = self_check.checks(epoch, self._drawn, seen, earlier, fingerprints)
        for name, p, says in checks:
            if adjusted(epoch, p) < self_check.LEVEL:
                raise UserError(
                    f"{self.name}, epoch {epoch}: {says}; this is not the mechanism that epsilon is computed "
                    f"for (self-check: {name})"
                )
        self._fingerprints[epoch] = fingerprints
        self._p_values[epoch] = np.array([rounded(adjusted(epoch, check.p)) for check in checks])

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` gave after an epoch, empty before the first."""
        fingerprints = arrays.get(FINGERPRINTS, np.empty((0, self.steps), np.uint64))
        p_values = arrays.get(P_VALUES, np.empty((0, len(self_check.CHECKS))))
        self._fingerprints = dict(enumerate(fingerprints, 1))
        self._p_values = dict(enumerate(p_values, 1))
        if self._canaries:
            self._canaries.restore(arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """What the checks and the canaries leave next to the model's state, a row per epoch so far.

        check/fingerprints: uint64 (epochs, steps), see `self_check.fingerprints`; check/p: float64
        (epochs, checks), corrected p-values in the order of `self_check.CHECKS`, rounded.
        """
        kept = {FINGERPRINTS: self._fingerprints, P_VALUES: self._p_values}
        arrays = {name: np.stack([rows[at] for at in sorted(rows)]) for name, rows in kept.items() if rows}
        return arrays | (self._canaries.arrays() if self._canaries else {})
