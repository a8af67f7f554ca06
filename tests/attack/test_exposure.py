import numpy as np
from scipy.stats import norm

from privacy_report.attack import job
from privacy_report.attack.exposure import lt_iqr, membership_probability, most_exposed
from privacy_report.attack.signals import Examples, pool
from privacy_report.pipeline.outputs import output_arrays


def test_membership_probability_is_calibrated():
    """Of the examples given probability p, at base rate one half a share p are members."""
    rng = np.random.default_rng(0)
    n, d = 40_000, 1.5
    is_member = np.arange(n) < n // 2
    z = rng.normal(size=n) + d * is_member
    examples = Examples(np.column_stack([z, np.zeros(n)]), np.zeros(n, int), is_member)
    probability = membership_probability(examples, seed=0)
    truth = norm.pdf(z - d) / (norm.pdf(z - d) + norm.pdf(z))
    assert np.abs(probability - truth).mean() < 0.03
    for low in (0.1, 0.4, 0.7):
        bin_ = (low <= probability) & (probability < low + 0.2)
        assert abs(is_member[bin_].mean() - probability[bin_].mean()) < 0.03


def test_the_seed_draws_the_halves(outputs):
    some = pool(outputs(n_member=2000, n_nonmember=1000))
    probabilities = [membership_probability(some, seed) for seed in (0, 1, 0)]
    assert np.array_equal(probabilities[0], probabilities[2])
    assert not np.array_equal(probabilities[0], probabilities[1])


def test_the_job_draws_them_by_the_seed_that_it_gets(outputs, tmp_path):
    some = outputs(n_member=2000, n_nonmember=1000)
    np.savez(tmp_path / "some.npz", **output_arrays(some))
    names = "privacy_report.attack.signals.pool", tmp_path / "some.npz"
    probabilities = {seed: job.risks(*names, seed)["probability"] for seed in (0, 7)}
    np.testing.assert_array_equal(probabilities[7], membership_probability(pool(some), 7))
    assert not np.array_equal(probabilities[7], probabilities[0])


def test_no_leak_no_risk(outputs):
    probability = membership_probability(pool(outputs(n_member=5000, n_nonmember=3000)), seed=0)
    assert np.abs(probability - 0.5).mean() < 0.08


def test_class_without_one_side_is_undecided(outputs):
    examples = pool(outputs(n_member=60, n_nonmember=40, n_classes=2))
    labels = np.where(examples.is_member, 0, 1)
    probability = membership_probability(Examples(examples.logits, labels, examples.is_member), seed=0)
    assert (probability == 0.5).all()


def test_lt_iqr_by_hand():
    losses = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]])
    assert lt_iqr(losses).tolist() == [2.0, 0.0]
    assert lt_iqr(losses[:1]).tolist() == [0.0, 0.0]


def test_most_exposed_first_ties_by_probability_then_position():
    scores, probability = np.array([1.0, 3, 1, 1]), np.array([0.5, 0.1, 0.9, 0.5])
    assert most_exposed(scores, probability).tolist() == [1, 2, 0, 3]
    assert most_exposed(scores, probability, most=2).tolist() == [1, 2]


def test_examples_do_not_vote_for_themselves():
    """With a bin for every handful, own votes would make members of a leak-free target look exposed."""
    gaps = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        is_member = np.arange(800) < 400
        logits = np.column_stack([rng.normal(size=800), np.zeros(800)])
        probability = membership_probability(Examples(logits, np.zeros(800, int), is_member), seed)
        gaps.append(probability[is_member].mean() - probability[~is_member].mean())
    assert abs(np.mean(gaps)) < 0.006
