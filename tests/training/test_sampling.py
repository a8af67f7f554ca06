"""The order of examples, Poisson batches and the seeds of the noise."""

import ast
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from privacy_report.errors import UserError
from privacy_report.training import accounting, sampling


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (12, 4), (5, 8), (1, 1)])
def test_shuffled_batches_show_every_example_once(n, batch_size):
    rows, sizes = sampling.shuffled_batches(0, "cnn2", 1, n, batch_size)
    assert rows.dtype == sizes.dtype == np.int32
    assert rows.shape == (-(-n // batch_size), batch_size)
    assert (sizes[:-1] == batch_size).all()
    seen = np.concatenate([row[:size] for row, size in zip(rows, sizes, strict=True)])
    assert sorted(seen) == list(range(n))


def test_the_order_depends_on_seed_variant_and_epoch():
    def order(*key):
        return tuple(sampling.shuffled_batches(*key, 100, 10)[0].ravel())

    keys = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (11, "a", 1), (1, "1 a", 1)]
    assert len({order(*key) for key in keys}) == len(keys)
    assert order(0, "a", 1) == order(0, "a", 1)


def test_the_order_is_the_same_in_another_process():
    wanted = sampling.shuffled_batches(3, "cnn3", 7, 20, 20)[0][0].tolist()
    code = (
        "from privacy_report.training.sampling import shuffled_batches\n"
        "print(shuffled_batches(3, 'cnn3', 7, 20, 20)[0][0].tolist())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in "12"
    ]
    assert [ast.literal_eval(text) for text in printed] == [wanted] * 2


def poisson(entropy, epochs, n, batch_size, capacity):
    """0/1 of (steps of all epochs, n): who was drawn."""
    drawn = []
    for epoch in range(epochs):
        rows, sizes = sampling.poisson_batches(entropy, epoch, n, batch_size, capacity)
        assert rows.shape == (sampling.poisson_steps(n, batch_size), capacity)
        assert rows.dtype == sizes.dtype == np.int32
        for row, size in zip(rows, sizes, strict=True):
            drawn.append(np.bincount(row[:size], minlength=n))
            assert not row[size:].any()
    return np.stack(drawn)


def test_poisson_batches_draw_each_example_independently():
    drawn = poisson(7, 2000, 20, 4, 20)
    assert drawn.max() == 1  # never the same example twice in a step
    steps = len(drawn)
    assert steps == 2000 * 5
    error = np.sqrt(0.2 * 0.8 / steps)
    assert np.abs(drawn.mean(axis=0) - 0.2).max() < 4.5 * error
    together = np.corrcoef(drawn.T)[np.triu_indices(20, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(steps)
    later = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert abs(later) < 4.5 / np.sqrt(drawn.size)
    sizes, counts = np.unique(drawn.sum(axis=1), return_counts=True)
    expected = stats.binom.pmf(sizes, 20, 0.2) * steps
    large = expected > 5
    assert (
        stats.chisquare(counts[large], expected[large] / expected[large].sum() * counts[large].sum()).pvalue
        > 1e-4
    )


def test_poisson_batches_can_be_empty():
    assert (poisson(0, 300, 4, 1, 4).sum(axis=1) == 0).any()


def test_poisson_batches_depend_on_entropy_and_epoch_but_not_on_the_buffer():
    first = poisson(1, 1, 500, 50, 100)
    np.testing.assert_array_equal(first, poisson(1, 1, 500, 50, 400))
    assert (first != poisson(2, 1, 500, 50, 100)).any()
    assert (poisson(1, 2, 500, 50, 100)[10:] != first).any()


def test_a_draw_over_the_buffer_is_refused_rather_than_cut():
    with pytest.raises(UserError, match=r"Poisson batch of \d+ examples exceeds the buffer of 40"):
        sampling.poisson_batches(0, 3, 1000, 50, 40)


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_size_that_is_no_share_of_the_members_is_refused(batch_size):
    with pytest.raises(UserError, match=rf"batch_size: got {batch_size}, allowed: 1\.\.10"):
        sampling.poisson_batches(0, 1, 10, batch_size, 20)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(50_000, 250, 200), (50_000, 1024, 49), (10, 10, 1)])
def test_steps_of_an_epoch(n, batch_size, steps):
    assert sampling.poisson_steps(n, batch_size) == steps


def test_the_capacity_holds_in_real_draws_and_is_not_wasteful():
    capacity = accounting.batch_capacity(50_000, 250, 200 * 50)
    rows, sizes = sampling.poisson_batches(0, 1, 50_000, 250, capacity)
    assert rows.shape == (200, capacity)
    assert sizes.max() <= capacity < 400


def test_noise_seeds_never_repeat_within_a_run_and_differ_between_runs():
    seeds = [sampling.step_seeds(entropy, epoch, 50) for entropy in (1, 2) for epoch in (0, 1, 2**20 - 1)]
    pairs = {tuple(seed) for table in seeds for seed in table}
    assert len(pairs) == 2 * 3 * 50
    assert all(table.dtype == np.int64 and table.shape == (50, 2) for table in seeds)
    seconds = np.sort(np.concatenate([table[:, 1] for table in seeds[:3]]).view(np.uint64))
    assert np.diff(seconds).min() >= 2**16  # room for each variable's own


def test_noise_seeds_of_an_epoch_do_not_depend_on_its_number_of_steps():
    np.testing.assert_array_equal(sampling.step_seeds(9, 4, 10), sampling.step_seeds(9, 4, 20)[:10])


def test_noise_seeds_refuse_what_the_counter_cannot_hold():
    with pytest.raises(ValueError, match="does not fit"):
        sampling.step_seeds(0, 2**20, 1)


def test_committed_entropy_is_of_seed_and_variant_and_secret_entropy_of_nothing():
    committed = sampling.private_entropy("committed", 0, "dp")
    assert committed == sampling.private_entropy("committed", 0, "dp") == sampling.entropy(0, "dp")
    assert committed != sampling.private_entropy("committed", 0, "dp2")
    secret = {sampling.private_entropy("secret", 0, "dp") for _ in range(8)}
    assert len(secret | {committed}) == 9
    assert max(secret).bit_length() > 96
    with pytest.raises(UserError, match=r"privacy.seed: got 'public', allowed: committed, secret"):
        sampling.private_entropy("public", 0, "dp")
