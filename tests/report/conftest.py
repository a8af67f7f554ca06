"""Made-up inputs of the report: Gaussian scores, whose metrics are known in closed form."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import yaml
from claims import claimed
from matplotlib.figure import Figure
from PIL import Image

from privacy_report.pipeline import claim
from privacy_report.pipeline.contract import (
    CLASS,
    CORRECT,
    ENTIRE,
    EPSILON_JOINT,
    EXPOSED_COLUMNS,
    FPRS,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    HISTORY_COLUMNS,
    INCORRECT,
    LOSS_PERCENTILE,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
    with_ends,
)
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.tables import write_table
from privacy_report.report import style
from privacy_report.report.style import PAPER, Panel

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NORMAL = NormalDist()
TOO_FEW = "not attacked: 7 members and 9 non-members, at least 10 of each are needed"
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
    gate: dict = field(default_factory=dict)
    whole: bool = False
    """All 23 kinds of slices and curves of 500 points, as many as the attack stage writes."""

    def names(self) -> list[str]:
        """v1, v2, ... and then the private ones."""
        return [f"cnn{i + 2}" for i in range(self.variants)] + list(self.dp)

    def write(self) -> Path:
        """Write everything but the verdicts, which the gate writes."""
        labels = {
            name: {"label": f"{name[3:]} Layers" if name not in self.dp else "3 Layers, DP"}
            for name in self.names()
        }
        for name in self.dp:
            labels[name]["privacy"] = {"target_epsilon": 8.0, "delta": 1e-5, "seed": "committed"}
        gate = {"max_advantage": 0.1, "max_tpr_at_1pct_fpr": 0.03, "max_class_advantage": 0.25}
        gate |= self.gate
        params = {
            "variants": labels,
            "gate": gate,
            "report": {**REPORT, "palette": PALETTE},
            "dataset": {"name": "cifar10", "seed": 0, "public": True},
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

    def _unseen(self, name: str) -> dict[str, float]:
        """What a private variant's history does not say."""
        return dict.fromkeys(("running_loss", "running_accuracy"), math.nan) if name in self.dp else {}

    def _claim(self, name: str, compared: list[int]) -> None:
        epsilon = self._epsilon(name, compared[-1]) if name in self.dp else None
        new_claim = claimed(epsilon, compared=tuple(compared))
        claim.write(claim.path_of(name, self.root / claim.FOLDER), new_claim)

    def _variant(self, position: int, name: str) -> None:
        history = []
        for epoch in range(1, self.epochs + 1):
            fit = 1 - math.exp(-epoch / (14 + 2 * position))
            if name in self.dp:
                fit *= 0.45
            best = 0.55 + 0.16 * (1 - math.exp(-epoch / 3)) - 0.001 * epoch - 0.004 * position
            history.append(
                dict.fromkeys(HISTORY_COLUMNS, math.nan)
                | {"variant": name, "epoch": epoch}
                | {"running_loss": 1.5 - 1.3 * fit, "running_accuracy": 0.5 + 0.45 * fit}
                | {
                    "val_loss": 1.3 + fit,
                    "val_accuracy": best - 0.1 * (name in self.dp),
                    "epsilon": self._epsilon(name, epoch),
                }
            )
        shown = [row | self._unseen(name) for row in history]
        write_table(self.root / f"data/train/{name}/history.csv", shown, HISTORY_COLUMNS)
        kept = [row for row in history if row["epoch"] % self.every == 0] or history[-1:]
        self._claim(name, [row["epoch"] for row in kept])
        folder = self.root / f"data/attack/{name}"
        privacy = [r for h in kept for r in self._rows(position, name, h, 1.0)]
        write_table(folder / "privacy.csv", privacy, PRIVACY_COLUMNS)
        halves = [
            {**row, "half": half}
            for half in ("select", "report")
            for h in kept
            for row in self._rows(position, name, h, 0.5)
        ]
        write_table(folder / "halves.csv", halves, HALVES_COLUMNS)
        write_table(
            folder / "roc.csv",
            [r for h in kept for r in self._roc(position, name, h["epoch"])],
            ROC_COLUMNS,
        )
        write_table(
            folder / "histograms.csv",
            [r for h in kept for r in self._histogram(position, name, h["epoch"])],
            HISTOGRAM_COLUMNS,
        )
        exposed = [
            {
                "variant": name,
                "rank": i + 1,
                "index": (7 * i + position) % 200,
                "label": (7 * i + position) % 10,
            }
            | {"ranking": "lt_iqr", "found_at_fpr": math.nan}
            | {"score": 3.0 - 0.02 * i, "loss": 0.1 + 0.01 * i, "probability": 0.9}
            for i in range(100)
        ]
        write_table(folder / "exposed.csv", exposed, EXPOSED_COLUMNS)
        references = {"lira", "rmia"} & set(self.attacks)
        chosen = {h["epoch"]: h["epoch"] for h in kept}
        facts = {"models": 16, "chosen_epochs": chosen} if references else {"models": 0}
        write_json(folder / "references.json", facts)

    def shift(self, position: int, name: str, epoch: int, attack: str) -> float:
        """Distance between the two Gaussians of scores."""
        if name in self.dp:
            return 0.01
        if attack == "placebo":
            return 0.0
        grown = 1.1 * (1 - math.exp(-epoch / (22 + 4 * position))) ** 1.2
        strengths = {"logistic": 1.1, "trajectory": 1.3, "rmia": 1.5}
        return grown * strengths.get(attack, 1 - 0.05 * [*self.attacks, attack].index(attack))

    def slices(self) -> list[tuple[str, float, float]]:
        """Name, share of the examples, and factor of the scores' distance of each slice."""
        slices = [(ENTIRE, 1.0, 1.0)] + [(f"{CLASS}{i}", 0.1, 0.8 + 0.05 * i) for i in range(10)]
        if self.whole:
            slices += [(CORRECT, 0.7, 0.9), (INCORRECT, 0.3, 1.1)]
            slices += [(f"{LOSS_PERCENTILE}{10 * i}-{10 * i + 10}", 0.1, 0.3) for i in range(10)]
        return slices

    def _rows(self, position: int, name: str, history: dict, share: float) -> list[dict]:
        rows = []
        for attack in self.attacks:
            for name_of_slice, fraction, factor in self.slices():
                n, m = int(self.members * fraction), int(self.nonmembers * share * fraction)
                d = self.shift(position, name, history["epoch"], attack) * factor
                row = dict.fromkeys(PRIVACY_COLUMNS, math.nan) | {
                    "variant": name,
                    "epoch": history["epoch"],
                    "attack": attack,
                    "slice": name_of_slice,
                    "n_member": n,
                    "n_nonmember": m,
                    "accuracy": history["running_accuracy"],
                    "val_accuracy": history["val_accuracy"],
                    "leaks": "no",
                    "note": "",
                }
                without = name_of_slice == f"{CLASS}3" or (attack == "logistic" and history["epoch"] == 10)
                if self.refused and without:
                    rows.append(row | {"note": TOO_FEW})
                    continue
                rows.append(row | metrics(d, n, m))
        return rows

    def _roc(self, position: int, name: str, epoch: int) -> list[dict]:
        points = 500 if self.whole else 60
        fpr = [0.0, *np.geomspace(1 / self.nonmembers, 1, points).tolist()]
        rows = []
        for attack in self.attacks:
            d = self.shift(position, name, epoch, attack)
            tpr = [0.0, *(NORMAL.cdf(NORMAL.inv_cdf(x) + d) for x in fpr[1:-1]), 1.0]
            head = {"variant": name, "epoch": epoch, "attack": attack, "slice": ENTIRE}
            rows += [head | {"fpr": x, "tpr": y} for x, y in zip(fpr, tpr, strict=True)]
        return rows

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
    auc, error = NORMAL.cdf(d / math.sqrt(2)), math.sqrt((1 / n + 1 / m) / 12)
    numbers = {"auc": auc, "auc_low": auc - 1.96 * error, "auc_high": auc + 1.96 * error}
    advantage, reach = 2 * NORMAL.cdf(d / 2) - 1, math.sqrt(math.log(40) / 2 * (1 / n + 1 / m))
    numbers |= {"advantage": advantage, "advantage_low": max(0.0, advantage - reach)}
    numbers |= {
        "advantage_high": min(1.0, advantage + reach),
        "advantage_p": math.exp(-d * d * m / 8),
        "ppv": 0.9,
    }
    for column, fpr in FPRS.items():
        tpr = NORMAL.cdf(d + NORMAL.inv_cdf(fpr))
        reach = 2 * tpr / math.sqrt(m * fpr)
        if fpr * m >= 5:
            numbers |= dict(zip(with_ends(column), (tpr, tpr - reach, tpr + reach), strict=True))
    numbers |= {"balanced_accuracy": 0.5 + numbers["advantage"] / 2, "epsilon_fixed_split": max(0.0, d - 0.1)}
    numbers |= {EPSILON_JOINT: max(0.0, d - 0.2)}
    return numbers | {"leaks": "yes" if d > 0.1 else "no"}


@pytest.fixture
def unrasterised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels are drawn, but not turned into pixels, for tests that read what the page says."""

    def blank(panel: Panel, dpi: int) -> Image.Image:
        panel.draw(Figure((panel.width, panel.height), dpi=dpi).add_subplot())
        return Image.new("RGB", (int(panel.width * dpi), int(panel.height * dpi)), PAPER)

    monkeypatch.setattr(style, "_draw", blank)


def read_page(path: Path | str = "plots/report.html") -> str:
    """The page as people and browsers read it, without what is packed into it."""
    packed = r'<script type="application/gzip".*?</script>'
    return re.sub(packed, "", Path(path).read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that writes a study into a fresh working folder, judges it, and returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path))

    def write(**settings) -> Path:
        from stages.gate import main as gate

        made = Study(tmp_path, **settings)

        root = made.write()
        for name in made.names():
            gate([name])
        return root

    return write
