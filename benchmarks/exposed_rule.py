"""How often the gate's rule on exposed members is broken, open or kept where the truth is known.

Writes benchmarks/exposed_rule.json. `python -m benchmarks.exposed_rule`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.record_auc import drawn
from privacy_report.attack.record_auc import by_noise, of_persons, record_auc
from privacy_report.attack.references import References
from privacy_report.attack.tables import record_auc_rows
from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.rates import EXPOSED_AT, exposed_beyond_noise
from privacy_report.gate.rules import finding
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import MAX
from privacy_report.training.memberships import halves

RULE, LIMIT = "max_exposed_beyond_noise", 0.01
STATES = {None: "kept", "yes": "broken", "no": "open"}
ROWS_EACH, CORRELATION = 5, 0.5


def of_rows(persons: int, models: int, seed: int) -> tuple[References, np.ndarray]:
    """Where nothing leaks: ROWS_EACH rows of each person, whose noise in a model correlates, and whose."""
    rng = np.random.default_rng([seed, models, persons])
    person = np.repeat(np.arange(persons), ROWS_EACH)
    noise = np.sqrt(CORRELATION) * rng.normal(size=(models, persons))[:, person]
    noise += np.sqrt(1 - CORRELATION) * rng.normal(size=(models, len(person)))
    phi = rng.normal(2, 2, len(person)) + rng.normal(0, 0.3, (models, 1)) + noise
    return References(phi.astype(np.float32), halves(persons, models, seed)[:, person]), person


def _persons(n: int, models: int, seed: int) -> References:
    return of_persons(*of_rows(n, models, seed), MAX)


Draw = Callable[[int, int, int], References]
"""Members (or persons), models and seed -> what references say of them."""


@dataclass(frozen=True)
class Truth:
    """A truth: how it is drawn, how many members (or persons), draws, and numbers of references."""

    draw: Draw
    members: int
    draws: int
    references: tuple[int, ...]


TRUTHS = {
    "nothing leaks": Truth(partial(drawn, exposed=0.0), 2_000, 1_000, (4, 8, 16)),
    "nothing leaks, persons": Truth(_persons, 400, 1_000, (4, 8, 16)),
    "2% are exposed": Truth(partial(drawn, exposed=0.02), 2_000, 200, (4, 8, 16)),
    "2% are exposed, 50,000 members": Truth(partial(drawn, exposed=0.02), 50_000, 20, (4, 8)),
}


def ends(references: References) -> tuple[float, float, float]:
    """The share of the exposed beyond noise: both ends, and the share itself."""
    curves = {"record_auc": record_auc(references), "by_noise": by_noise(references)}
    rows = record_auc_rows("", 0, curves, {ENTIRE: np.arange(references.n)})
    (row,) = (row for row in rows if row["record_auc"] == EXPOSED_AT)
    return *exposed_beyond_noise(rows), row["share"] - row["noise"]


def state(low: float, high: float, limit: float) -> str:
    """What the rule says: broken, open or kept."""
    failure = finding(RULE, limit, Checkpoint(0, [], exposed=(low, high)))
    return STATES[failure["judged"] if failure else None]


def simulated(truth: Truth, models: int, draws: int) -> dict[str, float]:
    """Shares of draws: of each state at LIMIT, broken at 0, and kept at a limit that is the true share.

    The true share is the mean over the draws.
    """
    rows = np.array([ends(truth.draw(truth.members, models, seed)) for seed in range(draws)])
    excess = float(rows[:, 2].mean())
    states = Counter(state(low, high, LIMIT) for low, high, _ in rows)
    return {
        "draws": draws,
        "excess": excess,
        **{name: states[name] / draws for name in STATES.values()},
        "broken_at_0": sum(state(low, high, 0.0) == "broken" for low, high, _ in rows) / draws,
        "kept_at_excess": sum(state(low, high, max(excess, 0.0)) == "kept" for low, high, _ in rows) / draws,
    }


def main() -> None:
    results = {
        name: {str(models): simulated(truth, models, truth.draws) for models in truth.references}
        for name, truth in TRUTHS.items()
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
