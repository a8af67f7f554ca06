"""What a user sees between branches: metrics, curves, and real scores under the parity formulas."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sandbox import Sandbox, environment
from scipy.special import softmax
from sklearn.metrics import auc, roc_curve

from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.schema import AttackParams
from privacy_report.pipeline.outputs import read_outputs

pytestmark = pytest.mark.pipeline


@pytest.fixture
def branched(finished: Sandbox, tmp_path: Path) -> Sandbox:
    """A clone without a DVC cache, with branches main and feature that differ in a learning rate."""
    finished.run("git", "switch", "--quiet", "--create", "feature")
    finished.edit("conf/experiment/smallest.yaml", "cnn2: {", "cnn2: {learning_rate: 0.01, ")
    finished.repro()
    finished.run("git", "commit", "--quiet", "--all", "--message=faster")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", finished.root, clone], env=environment(), check=True)
    subprocess.run(["git", "branch", "--quiet", "main", "origin/main"], cwd=clone, check=True)
    assert not (clone / ".dvc/cache").exists()
    return Sandbox(clone)


def test_metrics_and_plots_between_branches_need_no_cache(branched: Sandbox):
    lines = branched.dvc("metrics", "diff", "main", "feature").stdout.splitlines()
    changed = [line for line in lines if "metrics/cnn2.json" in line and "val_accuracy" in line]
    assert len(changed) == 1
    assert float(changed[0].split()[-1]) != 0
    assert not any("metrics/cnn3.json" in line for line in lines)
    branched.python("-m", "privacy_report.report.offline", ".dvc/tmp/offline.html")
    branched.dvc("config", "--local", "plots.html_template", "tmp/offline.html")
    branched.dvc("plots", "diff", "main", "feature", "--out", "diff")
    page = (branched.root / "diff/index.html").read_text()
    assert "vegaEmbed" in page
    assert not re.search(r"<script[^>]+src=", page)
    for revision in ("main", "feature"):
        assert f'"rev": "{revision}"' in page
    assert len(page) < 2_000_000


def test_git_keeps_the_small_tables_and_dvc_the_large_ones(branched: Sandbox):
    kept = set(branched.run("git", "ls-files", "plots").stdout.split())
    assert {f"plots/{name}.csv" for name in ("curves", "training", "roc")} <= kept
    assert not {"plots/privacy.csv", "plots/report.html"} & kept
    # DVC adds what it keeps to this file by itself; nothing is left to add
    assert (branched.root / "plots/.gitignore").read_text().split() == ["/privacy.csv", "/report.html"]


def test_the_page_is_the_same_when_it_is_made_again(finished: Sandbox):
    before = (finished.root / "dvc.lock").read_text()
    finished.dvc("repro", "--force", "--single-item", "report")
    assert (finished.root / "dvc.lock").read_text() == before


@pytest.mark.browser
def test_plots_show_draws_the_curves_in_a_browser_without_a_network(branched: Sandbox, tmp_path: Path):
    from report.test_browser import CHROMIUM, browse

    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian's package chromium)")
    branched.python("-m", "privacy_report.report.offline", ".dvc/tmp/offline.html")
    branched.dvc("config", "--local", "plots.html_template", "tmp/offline.html")
    branched.dvc("plots", "show")
    dom, _ = browse(branched.root / "dvc_plots/index.html", tmp_path)
    marks = re.findall(r'<path[^>]* aria-roledescription="(line mark|area mark)"[^>]* d="[^"]{8,}', dom)
    assert marks.count("line mark") >= 5 * 3  # a line a variant in each of the five panels over epochs
    assert marks.count("area mark") == 3 * 3


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
