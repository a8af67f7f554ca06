"""Outputs of models that do not exist, as an audit takes them."""

import numpy as np

from privacy_report.pipeline.files import write_arrays

N = 700


def arrays(shift=0.0, n_member=600, n_nonmember=300, seed=0):
    rng = np.random.default_rng(seed)
    n = n_member + n_nonmember
    labels, logits = rng.integers(0, 3, n), rng.normal(size=(n, 3)).astype(np.float32)
    logits[np.arange(n), labels] += 2 + shift * (np.arange(n) < n_member)
    return {
        "member_logits": logits[:n_member],
        "member_labels": labels[:n_member],
        "nonmember_logits": logits[n_member:],
        "nonmember_labels": labels[n_member:],
    }


def run_of(folder, epochs=(2, 4, 6), n=N, **more):
    """A run that leaks more and more."""
    rng = np.random.default_rng(0)
    labels, base = rng.integers(0, 3, 2 * n), rng.normal(size=(2 * n, 3)).astype(np.float32)
    member = np.arange(2 * n) < n
    for i, epoch in enumerate(epochs):
        logits = base + 0.3 * rng.normal(size=base.shape).astype(np.float32)
        logits[np.arange(2 * n), labels] += 1 + i * member
        arrays = {"member_logits": logits[:n], "member_labels": labels[:n]}
        arrays |= {"nonmember_logits": logits[n:], "nonmember_labels": labels[n:]}
        write_arrays(folder / f"epoch_{epoch:04}.npz", arrays | more)
    return folder
