"""Which examples each step sees, and the seeds of everything random in a run.

All randomness derives from (seed, variant name, purpose, epoch), never from a generator's state, so
that an epoch comes out the same whether the run was interrupted before it or not.
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np

from privacy_report.errors import UserError

SHUFFLE, POISSON, NOISE = range(3)  # purposes
ENTROPY_BITS = 128
# A noise seed's second word is an offset plus (epoch, step, variable), each in its own bits.
EPOCH_BITS, STEP_BITS, VARIABLE_BITS = 20, 24, 16


def entropy(seed: int, variant: str) -> int:
    """The 128-bit number that a variant's reproducible randomness starts from."""
    digest = hashlib.sha256(f"{seed} {variant}".encode()).digest()
    return int.from_bytes(digest[: ENTROPY_BITS // 8], "big")


def private_entropy(mode: str, seed: int, variant: str) -> int:
    """The 128-bit number that a private run's batches and noise start from.

    mode "committed": `entropy(seed, variant)`. Who reads the seed can recompute the noise and subtract
    it: the run is reproducible and its guarantee void against that reader.
    mode "secret": from the operating system, new at each call; keep it in memory only. The batches have
    to come from it as well as the noise: the accountant's amplification by sampling holds only while
    nobody knows which examples a step drew. (Philox and PCG64, which expand it, are statistical
    generators and not cryptographic ones, as in the usual DP-SGD libraries.)
    Raises UserError for another mode.
    """
    if mode == "committed":
        return entropy(seed, variant)
    if mode == "secret":
        return secrets.randbits(ENTROPY_BITS)
    raise UserError(f"privacy.seed: got {mode!r}, allowed: committed, secret")


def shuffled_batches(
    seed: int, variant: str, epoch: int, n: int, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every example once, in an order of (seed, variant, epoch); the last batch may be smaller.

    Returns rows int32 (steps, batch_size), padded with 0, and sizes int32 (steps,): step i takes the
    examples rows[i, :sizes[i]].
    """
    order = _generator(entropy(seed, variant), SHUFFLE, epoch).permutation(n)
    steps = -(-n // batch_size)
    rows = np.zeros(steps * batch_size, np.int32)
    rows[:n] = order
    sizes = np.full(steps, batch_size, np.int32)
    sizes[-1] = n - (steps - 1) * batch_size
    return rows.reshape(steps, batch_size), sizes


def poisson_steps(n: int, expected_batch_size: int) -> int:
    """Steps of an epoch under Poisson sampling: n / batch to the nearest integer, at least 1."""
    return max(round(n / expected_batch_size), 1)


def poisson_batches(
    entropy: int, epoch: int, n: int, expected_batch_size: int, capacity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each step draws every example independently with probability q = expected_batch_size / n.

    The number drawn is binomial and its examples a uniform subset, which is the same distribution.
    entropy: from `private_entropy`; capacity: from `accounting.batch_capacity`.
    Returns rows int32 (steps, capacity), padded with 0, and sizes int32 (steps,), which may be 0.
    Raises UserError for a batch size above n and when a draw exceeds the capacity.
    """
    check_batch_size(n, expected_batch_size)
    generator = _generator(entropy, POISSON, epoch)
    steps = poisson_steps(n, expected_batch_size)
    sizes = generator.binomial(n, expected_batch_size / n, steps)
    if (largest := int(sizes.max())) > capacity:
        raise UserError(
            f"epoch {epoch}: a Poisson batch of {largest} examples exceeds the buffer of {capacity} "
            "(the chance of this is negligible by design); train again with another seed"
        )
    rows = np.zeros((steps, capacity), np.int32)
    for row, size in zip(rows, sizes, strict=True):
        row[:size] = generator.choice(n, size, replace=False, shuffle=False)
    return rows, sizes.astype(np.int32)


def check_batch_size(n: int, expected_batch_size: int) -> None:
    """Refuse an expected batch size that is no share of the n examples."""
    if not 1 <= expected_batch_size <= n:
        raise UserError(f"batch_size: got {expected_batch_size}, allowed: 1..{n} (the members)")


def step_seeds(entropy: int, epoch: int, steps: int) -> np.ndarray:
    """The seeds of an epoch's noise, int64 (steps, 2), for `private_gradient.noise`.

    The pair is (k0, k1 + place) of the run's key (k0, k1), where place packs epoch, step and, filled in
    by `private_gradient.noise`, the variable, each in its own bits. Within a run no two pairs are equal,
    which is all that the counter-based generator needs to make disjoint streams. Epoch < 2^20, steps < 2^24.
    """
    if not (0 <= epoch < 2**EPOCH_BITS and steps <= 2**STEP_BITS):
        raise ValueError(f"epoch {epoch} with {steps} steps does not fit the noise counter")
    key = np.random.SeedSequence(entropy, spawn_key=(NOISE,)).generate_state(2, np.uint64)
    place = (np.uint64(epoch) << np.uint64(STEP_BITS)) + np.arange(steps, dtype=np.uint64)
    second = key[1] + (place << np.uint64(VARIABLE_BITS))  # arrays wrap around silently, as wanted
    return np.stack([np.full(steps, key[0]), second], axis=1).view(np.int64)


def _generator(entropy: int, purpose: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(purpose, epoch)))
