"""Made-up inputs of the report: Gaussian scores, whose metrics are known in closed form."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import norm

from privacy_report.pipeline.files import write_json, write_table

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
HISTORY = ["variant", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "epsilon"]
PRIVACY = [
    "variant",
    "epoch",
    "attack",
    "slice",
    "n_member",
    "n_nonmember",
    "accuracy",
    "val_accuracy",
    "auc",
    "auc_low",
    "auc_high",
    "advantage",
    "advantage_low",
    "advantage_high",
    "advantage_p",
    "ppv",
    "tpr_at_fpr_0.01",
    "tpr_at_fpr_0.01_low",
    "tpr_at_fpr_0.01_high",
    "tpr_at_fpr_0.001",
    "tpr_at_fpr_0.001_low",
    "tpr_at_fpr_0.001_high",
    "balanced_accuracy",
    "epsilon_low",
    "leaks",
    "note",
]
REPORT = {"title": "How much does each checkpoint give away?", "dpi": 80, "exposed_images": 6}
PALETTE = yaml.safe_load((Path(__file__).parents[2] / "conf/report/default.yaml").read_text())["palette"]


@dataclass
class Study:
    """Writes the files that gate and report read, for some variants; `root` is where they go."""

    root: Path
    variants: int = 2
    epochs: int = 50
    every: int = 2
    dp: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ("threshold", "logistic")
    refused: bool = False
    members: int = 50_000
    nonmembers: int = 10_000

    def names(self) -> list[str]:
        """v1, v2, ... and then the private ones."""
        return [f"cnn{i + 2}" for i in range(self.variants)] + list(self.dp)

    def write(self) -> Path:
        """Write everything but metrics/gate.json, which the gate writes."""
        labels = {
            name: {"label": f"{name[3:]} Layers" if name not in self.dp else "3 Layers, DP"}
            for name in self.names()
        }
        for name in self.dp:
            labels[name]["privacy"] = {"target_epsilon": 8.0, "delta": 1e-5, "seed": "committed"}
        gate = {"max_advantage": 0.1, "max_tpr_at_fpr_0.01": 0.03, "max_class_advantage": 0.25}
        params = {
            "variants": labels,
            "gate": gate,
            "report": {**REPORT, "palette": PALETTE},
            "dataset": {"name": "cifar10", "seed": 0},
        }
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        self._prepare()
        for position, name in enumerate(self.names()):
            self._variant(position, name)
        return self.root

    def _prepare(self) -> None:
        folder = self.root / "data/prepare"
        folder.mkdir(parents=True)
        generator = np.random.default_rng(0)
        small = generator.integers(30, 220, (200, 4, 4, 3))
        np.save(folder / "images.npy", small.repeat(8, 1).repeat(8, 2).astype(np.uint8))
        np.save(folder / "labels.npy", (np.arange(200) % 10).astype(np.int32))
        description = {"name": "cifar10", "n_classes": 10, "class_names": CLASSES, "shape": [32, 32, 3]}
        description |= {"digest": "ab" * 32, "n_member": self.members, "n_nonmember": self.nonmembers}
        write_json(folder / "dataset.json", description)

    def _epsilon(self, name: str, epoch: int) -> float:
        return 1.1 * math.sqrt(epoch) if name in self.dp else math.nan

    def _variant(self, position: int, name: str) -> None:
        history = []
        for epoch in range(1, self.epochs + 1):
            fit = 1 - math.exp(-epoch / (14 + 2 * position))
            if name in self.dp:
                fit *= 0.45
            best = 0.55 + 0.16 * (1 - math.exp(-epoch / 3)) - 0.001 * epoch - 0.004 * position
            history.append(
                {"variant": name, "epoch": epoch, "loss": 1.5 - 1.3 * fit, "accuracy": 0.5 + 0.45 * fit}
                | {
                    "val_loss": 1.3 + fit,
                    "val_accuracy": best - 0.1 * (name in self.dp),
                    "epsilon": self._epsilon(name, epoch),
                }
            )
        write_table(self.root / f"data/train/{name}/history.csv", history, HISTORY)
        kept = [row for row in history if row["epoch"] % self.every == 0] or history[-1:]
        folder = self.root / f"data/attack/{name}"
        privacy = [r for h in kept for r in self._rows(position, name, h, 1.0)]
        write_table(folder / "privacy.csv", privacy, PRIVACY)
        halves = [
            {**row, "half": half}
            for half in ("select", "report")
            for h in kept
            for row in self._rows(position, name, h, 0.5)
        ]
        write_table(folder / "halves.csv", halves, [*PRIVACY, "half"])
        write_table(
            folder / "roc.csv",
            [r for h in kept for r in self._roc(position, name, h["epoch"])],
            ["variant", "epoch", "attack", "slice", "fpr", "tpr"],
        )
        write_table(
            folder / "histograms.csv",
            [r for h in kept for r in self._histogram(position, name, h["epoch"])],
            ["variant", "epoch", "side", "low", "high", "count"],
        )
        exposed = [
            {
                "variant": name,
                "rank": i + 1,
                "index": (7 * i + position) % 200,
                "label": (7 * i + position) % 10,
            }
            | {"score": 3.0 - 0.02 * i, "loss": 0.1 + 0.01 * i}
            for i in range(100)
        ]
        write_table(folder / "exposed.csv", exposed, ["variant", "rank", "index", "label", "score", "loss"])

    def shift(self, position: int, name: str, epoch: int, attack: str) -> float:
        """Distance between the two Gaussians of scores."""
        if name in self.dp:
            return 0.01
        grown = 1.1 * (1 - math.exp(-epoch / (22 + 4 * position))) ** 1.2
        return grown * (1.1 if attack == "logistic" else 1 - 0.05 * self.attacks.index(attack))

    def _rows(self, position: int, name: str, history: dict, share: float) -> list[dict]:
        rows = []
        for attack in self.attacks:
            for label in [None, *range(10)]:
                n, m = (
                    (self.members, self.nonmembers * share)
                    if label is None
                    else (self.members / 10, self.nonmembers * share / 10)
                )
                scale = 1.0 if label is None else 0.8 + 0.05 * label
                d = self.shift(position, name, history["epoch"], attack) * scale
                row = dict.fromkeys(PRIVACY, math.nan) | {
                    "variant": name,
                    "epoch": history["epoch"],
                    "attack": attack,
                }
                row |= {
                    "slice": "entire dataset" if label is None else f"class={label}",
                    "n_member": int(n),
                    "n_nonmember": int(m),
                }
                row |= {
                    "accuracy": history["accuracy"],
                    "val_accuracy": history["val_accuracy"],
                    "leaks": "no",
                    "note": "",
                }
                if self.refused and (label == 3 or (attack == "logistic" and history["epoch"] == 10)):
                    rows.append(row | {"note": "refused: a side has fewer than 20 examples"})
                    continue
                rows.append(row | metrics(d, n, m))
        return rows

    def _roc(self, position: int, name: str, epoch: int) -> list[dict]:
        fpr = np.unique(np.r_[0, np.geomspace(1 / self.nonmembers, 1, 60)])
        return [
            {"variant": name, "epoch": epoch, "attack": attack, "slice": "entire dataset", "fpr": x, "tpr": y}
            for attack in self.attacks
            for x, y in zip(
                fpr, norm.cdf(norm.ppf(fpr) + self.shift(position, name, epoch, attack)), strict=True
            )
        ]

    def _histogram(self, position: int, name: str, epoch: int) -> list[dict]:
        edges = np.geomspace(1e-6, 6, 41)
        rows = []
        for side, n in (("member", self.members), ("nonmember", self.nonmembers)):
            mean = 1.0 + (self.shift(position, name, epoch, "threshold") if side == "nonmember" else 0)
            counts = np.diff(1 - np.exp(-edges / mean)) * n
            rows += [
                {"variant": name, "epoch": epoch, "side": side, "low": low, "high": high, "count": int(count)}
                for low, high, count in zip(edges, edges[1:], counts, strict=False)
            ]
        return rows


def metrics(d: float, n: float, m: float) -> dict:
    """Metrics of two unit Gaussians `d` apart, with rough intervals for n members and m non-members."""
    auc, error = norm.cdf(d / math.sqrt(2)), math.sqrt((1 / n + 1 / m) / 12)
    found = {"auc": auc, "auc_low": auc - 1.96 * error, "auc_high": auc + 1.96 * error}
    advantage, reach = 2 * norm.cdf(d / 2) - 1, math.sqrt(math.log(40) / 2 * (1 / n + 1 / m))
    found |= {"advantage": advantage, "advantage_low": max(0.0, advantage - reach)}
    found |= {
        "advantage_high": min(1.0, advantage + reach),
        "advantage_p": math.exp(-d * d * m / 8),
        "ppv": 0.9,
    }
    for fpr in ("0.01", "0.001"):
        tpr = norm.cdf(d + norm.ppf(float(fpr)))
        reach = 2 * tpr / math.sqrt(m * float(fpr))
        if float(fpr) * m >= 5:
            found |= {
                f"tpr_at_fpr_{fpr}": tpr,
                f"tpr_at_fpr_{fpr}_low": tpr - reach,
                f"tpr_at_fpr_{fpr}_high": tpr + reach,
            }
    found |= {"balanced_accuracy": 0.5 + found["advantage"] / 2, "epsilon_low": max(0.0, d - 0.1)}
    return found | {"leaks": "yes" if d > 0.1 else "no"}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that writes a study into a fresh working folder, judges it, and returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path))

    def write(**settings) -> Path:
        from stages.gate import main as gate

        root = Study(tmp_path, **settings).write()
        gate([])
        return root

    return write
