"""What a study of ImageNet's size would need, from what was measured here: `python -m benchmarks.on_paper`.

A ResNet-50 on ImageNet, attacked with 256 reference models. Nothing of it was run. The sizes are those of the
data and of the model; rates come from benchmarks/scale.json and benchmarks/cluster.json, the time above the
floor from the two rows of docs/benchmarks.md that it names. Prints the table of docs/scale.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MEMBERS, NONMEMBERS, CLASSES = 1_281_167, 50_000, 1000
N = MEMBERS + NONMEMBERS
PIXELS = 224 * 224 * 3
PARAMETERS = 25_557_032
FORWARD = 2 * 4.09e9
"""Operations of a forward pass of one image: 4.09 billion multiply-adds (torchvision's page of the model)."""
TRAINING = 3 * FORWARD  # forward, and twice that backward
EPOCHS, EVERY, EARLY = 90, 2, 36
"""Of the target; between checkpoints; of the references, at 40% of the target's, as in the study here."""
REFERENCES = 256
ABOVE_FLOOR = 1.3
"""CPU time of an epoch of `cnn2` and `cnn3` side by side over that of its multiplications alone."""
WORKERS = 1000
GB, TB, DAY, YEAR = 1e9, 1e12, 86_400, 365 * 86_400


def needs(scale: dict[str, Any], cluster: dict[str, float]) -> dict[str, str]:
    """What is needed -> how much of it."""
    rate = scale["matmul_gflops"] * 1e9 / ABOVE_FLOOR  # useful operations a second of a core
    state = 3 * 4 * PARAMETERS  # weights and Adam's two moments
    checkpoints, kept = EPOCHS // EVERY, EARLY // EVERY
    target = EPOCHS * MEMBERS * TRAINING / rate
    reference = EARLY * (N // 2) * TRAINING / rate + kept * N * FORWARD / rate
    intervals = REFERENCES * kept
    phi, logits = REFERENCES * N * 4, N * CLASSES * 4
    by_references = _curve(scale, "lira and rmia", "references")
    per_score = by_references["points"][-1]["cpu"] / by_references["sizes"][-1] / 60_000
    audit = _curve(scale, "audit", "classes")["points"][-1]["cpu"] / 30_000
    attack = checkpoints * N * (audit + REFERENCES * per_score)
    held = phi + REFERENCES * N + 10 * 8 * N  # who trained on whom, and ten columns of float64
    return {
        "images, as bytes": f"{N * PIXELS / GB:.0f} GB",
        "one state: weights and optimizer": f"{state / 1e6:.0f} MB",
        "the target's training, on one core": f"{target / YEAR:.1f} years",
        "its checkpoints": f"{checkpoints} x {state / 1e6:.0f} MB = {checkpoints * state / GB:.0f} GB",
        "its logits": f"{checkpoints} x {logits / GB:.1f} GB = {checkpoints * logits / GB:.0f} GB",
        "scoring it, on one core": f"{checkpoints * N * FORWARD / rate / DAY:.0f} days",
        "one reference, on one core": f"{reference / YEAR:.2f} years",
        f"{REFERENCES} references, on a core each": f"{reference / YEAR:.2f} years",
        "intervals": f"{intervals}",
        "one interval, on one core": f"{reference / kept / DAY:.1f} days",
        "states over the network, there and back": f"{2 * intervals * state / TB:.1f} TB",
        "states in the store while references train": f"{REFERENCES * state / GB:.0f} GB",
        "confidences of the references": f"{kept} x {phi / GB:.2f} GB = {kept * phi / GB:.0f} GB",
        "the attacks on all checkpoints, on one core": f"{attack / 3600:.1f} hours",
        "the references of one epoch, in the attack's memory": f"{held / GB:.1f} GB",
        "Dask's own CPU time for all intervals": f"{intervals * cluster['cpu_ms_a_task'] / 1000:.0f} s",
    }


def _curve(scale: dict[str, Any], work: str, axis: str) -> dict[str, Any]:
    return next(curve for curve in scale["curves"] if (curve["work"], curve["axis"]) == (work, axis))


def table() -> str:
    """The needs as a table in Markdown."""
    needed = needs(*(json.loads((HERE / f"{name}.json").read_text()) for name in ("scale", "cluster")))
    return "\n".join(["| what | how much |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in needed.items())])


if __name__ == "__main__":
    print(table())
