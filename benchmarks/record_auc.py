"""How exposure is spread in the committed study, and how often it is beyond noise where the truth is known.

Writes benchmarks/record_auc.json. `python -m benchmarks.record_auc [DATA]`, DATA with prepare and reference.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from privacy_report.attack.evidence import reference_files
from privacy_report.attack.record_auc import by_noise, of_members, record_auc
from privacy_report.attack.references import References
from privacy_report.attack.tables import record_auc_rows, slices_of_members
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.tables import Row
from privacy_report.training.memberships import halves

VARIANTS = ("cnn2", "cnn3", "cnn3_dp")
AT = 0.9
"""The record AUC at which classes are compared."""
GAP, CLASSES = 5.0, 10
TRUTHS = {
    "nothing leaks": (2_000, 0.0, 400, (4, 8, 16)),
    "2% are exposed": (2_000, 0.02, 100, (4, 8, 16)),
    "2% are exposed, 50,000 members": (50_000, 0.02, 20, (4, 8)),
}
"""Truth -> members, the share of them that is exposed, draws, and numbers of references."""


def drawn(members: int, models: int, seed: int, exposed: float) -> References:
    """Examples of unequal hardness and spread, heavy tails, and models that differ in level.

    A model that trained on one of the share `exposed` is more confident of it by GAP; a spread is about 2.3.
    """
    rng, sides = np.random.default_rng([seed, models]), halves(members, models, seed)
    phi = rng.normal(2, 2, members) + rng.normal(0, 0.3, (models, 1))
    phi += np.exp(rng.normal(0, 0.7, members)) * rng.standard_t(4, (models, members))
    phi[:, : int(exposed * members)] += GAP * sides[:, : int(exposed * members)]
    return References(phi.astype(np.float32), sides)


def simulated(members: int, exposed: float, draws: int, models: int) -> dict[str, float]:
    """Shares of draws with a row beyond noise: of the entire dataset, of it at AT, and of the classes."""
    beyond = {"entire": 0, "entire at 0.9": 0, "classes": 0}
    slices = slices_of_members(np.arange(members) % CLASSES, ["class"], None)
    for seed in range(draws):
        references = drawn(members, models, seed, exposed)
        curves = {"record_auc": record_auc(references), "by_noise": by_noise(references)}
        above = [row for row in record_auc_rows("", 0, curves, slices) if row["share"] > row["noise_high"]]
        entire = [row["record_auc"] for row in above if row["slice"] == ENTIRE]
        beyond["entire"] += bool(entire)
        beyond["entire at 0.9"] += AT in entire
        beyond["classes"] += len(above) > len(entire)
    return {"draws": draws} | {name: count / draws for name, count in beyond.items()}


def measured(data: Path, variant: str) -> list[Row]:
    """Rows of record_auc.csv of a variant of a study: of all members, and of classes at AT."""
    labels = np.load(data / "prepare/labels.npy")[np.load(data / "prepare/member.npy")]
    files = reference_files(data / "reference" / variant)
    assert files is not None
    epoch = max(files.phi)
    curves = of_members(files.trains, files.phi[epoch], len(labels))
    rows = record_auc_rows(variant, epoch, curves, slices_of_members(labels, ["class"], None))
    return [row for row in rows if row["slice"] == ENTIRE or row["record_auc"] == AT]


def main(data: Path) -> None:
    results = {
        "study": {variant: measured(data, variant) for variant in VARIANTS},
        "simulated": {
            truth: {str(models): simulated(*settings, models) for models in several}
            for truth, (*settings, several) in TRUTHS.items()
        },
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "data"))
