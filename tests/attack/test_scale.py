"""Outputs that are larger than memory: read a block at a time, with the numbers of one block."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from scipy.special import softmax

from privacy_report.attack import rowwise
from privacy_report.attack.signals import Examples, pool
from privacy_report.audits.attacks import audit, audit_params
from privacy_report.pipeline import blocks
from privacy_report.pipeline.outputs import Outputs, read_outputs

ATTACKS = ["threshold", "threshold_confidence", "threshold_entropy", "threshold_modified_entropy", "logistic"]


def test_blocks_change_no_number(outputs, monkeypatch):
    """Of ten classes and of so many that attackers see only the largest probabilities."""
    for n_classes in (10, 40):
        made, params = outputs(n_classes=n_classes, shift=0.5), audit_params(ATTACKS)
        rows, findings = audit(made, params)
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "ELEMENTS", 7 * n_classes)
            again, findings_again = audit(made, params)
        assert again == rows
        np.testing.assert_array_equal(findings_again.probability, findings.probability)


def test_probabilities_on_disk_are_taken_as_their_logarithms(outputs, tmp_path):
    made = outputs(n_classes=5)
    arrays = {"member_labels": made.member_labels, "nonmember_labels": made.nonmember_labels}
    for side in ("member", "nonmember"):
        arrays[f"{side}_probs"] = softmax(getattr(made, f"{side}_logits").astype(float), axis=1)
    np.savez(tmp_path / "a.npz", **arrays)
    examples = pool(read_outputs(tmp_path / "a.npz"))
    np.testing.assert_allclose(examples.loss, pool(made).loss, rtol=1e-10)


def test_features_of_many_classes_by_hand():
    logits = np.log(np.arange(1.0, 13.0))[None] * np.ones((2, 1))
    features = rowwise.features(logits, np.array([11, 4]))
    assert features.shape == (2, rowwise.MOST_CLASSES + 3)
    np.testing.assert_allclose(features[:, :10], [np.arange(12, 2, -1) / 78] * 2)
    np.testing.assert_allclose(features[:, 10], np.log1p([0, 7]))
    np.testing.assert_allclose(features[:, 11], -np.log([12 / 78, 5 / 78]))
    np.testing.assert_allclose(features[:, 12], np.log(12 / 66))


def test_features_of_few_classes_are_all_probabilities(outputs):
    made = pool(outputs(n_classes=10))
    np.testing.assert_allclose(made.features[:, :10], softmax(made.logits[:].astype(float), axis=1))
    assert made.features.shape == (600, 12)


def test_parts_see_the_features_of_the_whole(outputs):
    whole = pool(outputs(n_classes=20))
    subset = whole.take(np.arange(1, 600, 2)).take(np.array([3, 10]))
    np.testing.assert_array_equal(subset.features, whole.features[[7, 21]])
    np.testing.assert_array_equal(subset.loss, whole.loss[[7, 21]])
    np.testing.assert_array_equal(subset.labels, whole.labels[[7, 21]])


def test_a_leak_among_many_classes_is_found_by_the_few_features():
    """Members' label stands out; an attacker who saw all 60 probabilities would find no more."""
    rng = np.random.default_rng(0)
    n, n_classes = 6000, 60
    labels, is_member = rng.integers(0, n_classes, n), np.arange(n) < n // 2
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += 3.0 + 0.7 * is_member
    examples = Examples(logits, labels, is_member)
    sides = np.flatnonzero(is_member), np.flatnonzero(~is_member)
    outputs = Outputs(*(array[side] for side in sides for array in (logits, examples.labels)))
    rows, _ = audit(outputs, audit_params(["threshold", "logistic"], ["entire"]))
    threshold, logistic = (row["auc"] for row in rows)
    assert threshold > 0.65
    assert logistic > threshold - 0.02


AUDIT = """
import json, resource, sys
import numpy as np
from privacy_report.commands.audit import main

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]), -1))
main([sys.argv[1], "--slices", "entire", "--out", sys.argv[2]])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"before": before * 1024, "peak": peak * 1024}))
"""


LIMIT = "400000000"  # bytes


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts what is allocated on Linux only")
def test_an_audit_of_a_hundred_thousand_examples_in_little_memory(tmp_path):
    """A tenth of 1,000,000 x 100: 40 MB of logits. The whole in float64 alone would be 80 MB more.

    Allowed are columns of float64 (13 features, copied by the attacker) and the few blocks at hand.
    """
    n, n_classes, rng = 100_000, 100, np.random.default_rng(0)
    logits = rng.standard_normal((n, n_classes), dtype=np.float32)
    labels = rng.integers(0, n_classes, n)
    logits[np.arange(n), labels] += 4
    half = n // 2
    np.savez(
        tmp_path / "a.npz",
        member_logits=logits[:half], member_labels=labels[:half],
        nonmember_logits=logits[half:], nonmember_labels=labels[half:],
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AUDIT), str(tmp_path / "a.npz"), str(tmp_path / "out"), LIMIT],
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    memory = json.loads(done.stdout.splitlines()[-1])
    assert memory["peak"] - memory["before"] < 150e6
