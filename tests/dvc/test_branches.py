"""What a user sees between branches: metrics, curves, and real scores under the parity formulas."""

import numpy as np
import pytest
from sandbox import Sandbox
from scipy.special import softmax
from sklearn.metrics import auc, roc_curve

from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.schema import AttackParams
from privacy_report.pipeline.outputs import read_outputs

pytestmark = pytest.mark.pipeline


def test_the_page_is_the_same_when_it_is_made_again(finished: Sandbox):
    def again() -> str:
        finished.dvc("repro", "--force", "--single-item", "report")
        return (finished.root / "dvc.lock").read_text()

    before = again()  # the first one was made before the first commit, and says so
    finished.run("git", "commit", "--quiet", "--all", "--message=of the results")
    assert again() == before


def test_parity_formulas_on_real_scores(finished: Sandbox):
    """Threshold attack in parity mode against sklearn's roc_curve on the raw losses, to 1e-9."""
    outputs = read_outputs(finished.root / "data/score/cnn2/epoch_0002.npz")
    params = AttackParams(mode="parity", attacks=["threshold"], slices=["entire", "class"])
    rows = {row["slice"]: row for row in attack_outputs(outputs, params).rows}
    labels = np.concatenate([outputs.member_labels, outputs.nonmember_labels])
    probabilities = softmax(np.concatenate([outputs.member_logits, outputs.nonmember_logits]), axis=1)
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-8))
    is_member = np.arange(len(labels)) < len(outputs.member_labels)
    for name, mask in {
        "entire dataset": labels >= 0,
        **{f"class={c}": labels == c for c in range(10)},
    }.items():
        fpr, tpr, _ = roc_curve(is_member[mask], -losses[mask], drop_intermediate=False)
        ratio = (mask & ~is_member).sum() / (mask & is_member).sum()
        with np.errstate(invalid="ignore"):
            ppv = np.where((tpr <= 1e-3) & (fpr <= 1e-3), 1 / (1 + ratio), tpr / (tpr + fpr * ratio))
        assert rows[name]["auc"] == pytest.approx(auc(fpr, tpr), abs=1e-9)
        assert rows[name]["advantage"] == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-9)
        assert rows[name]["ppv"] == pytest.approx(ppv.max(), abs=1e-9)
