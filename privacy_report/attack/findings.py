"""Everything about one checkpoint that does not depend on the other checkpoints."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from privacy_report.attack import parity as reference
from privacy_report.attack.epsilon_bound import SELECT
from privacy_report.attack.exposure import membership_probability
from privacy_report.attack.measures import Row, measure, refused, too_small
from privacy_report.attack.roc import sorted_roc, thin
from privacy_report.attack.schema import Attack
from privacy_report.attack.signals import SIGNALS, Examples, pool
from privacy_report.attack.slices import Groups, slices
from privacy_report.attack.trained import forward_scores
from privacy_report.pipeline.files import Outputs

LEAST = 10
"""Members and non-members that an attack needs; a trained one needs as many in each block."""
LEAST_REFERENCE_TRAINED = 15  # two folds, a three-fold search of up to 7 neighbours within

Ranked = tuple[np.ndarray, np.ndarray]
"""Example positions (n,) and their scores (n,), scores descending."""
Attacker = Callable[[np.ndarray, list[int]], Ranked]
"""(mask bool (n,) of a slice's examples, seed) -> those of them that were scored, with their scores."""


@dataclass(frozen=True)
class CheckpointResult:
    """The attacks' findings at one checkpoint.

    `rows` and `halves` lack variant, epoch and `leaks` (which needs the other checkpoints); `curves` maps
    attack -> (fpr, tpr) on the entire dataset; losses float64 (n_member,), (n_nonmember,);
    `probability` float64 (n_member + n_nonmember,): membership probabilities, members first.
    """

    rows: list[Row]
    halves: list[Row]
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    member_loss: np.ndarray
    nonmember_loss: np.ndarray
    probability: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays that `from_arrays` turns back into an equal result."""
        text = json.dumps({"rows": self.rows, "halves": self.halves, "attacks": list(self.curves)})
        arrays = {"tables": np.frombuffer(text.encode(), np.uint8)}
        for name in ("member_loss", "nonmember_loss", "probability"):
            arrays[name] = getattr(self, name)
        for i, (fpr, tpr) in enumerate(self.curves.values()):
            arrays[f"fpr_{i}"], arrays[f"tpr_{i}"] = fpr, tpr
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> CheckpointResult:
        """The result whose `to_arrays` gave `arrays`."""
        tables = json.loads(arrays["tables"].tobytes())
        return cls(
            rows=tables["rows"],
            halves=tables["halves"],
            curves={
                name: (arrays[f"fpr_{i}"], arrays[f"tpr_{i}"]) for i, name in enumerate(tables["attacks"])
            },
            member_loss=arrays["member_loss"],
            nonmember_loss=arrays["nonmember_loss"],
            probability=arrays["probability"],
        )


def attack_checkpoint(
    outputs: Outputs, config: Attack, groups: Groups | None = None, with_halves: bool = True
) -> CheckpointResult:
    """All attacks on all slices of one checkpoint. Deterministic given `config.seed`."""
    examples = pool(outputs)
    if config.mode == "reference":
        examples = reference.ReferenceExamples(examples.logits, examples.labels, examples.is_member)
    # One thread: results do not depend on the number of cores, and small fits do not wait for each other.
    with threadpool_limits(1):
        rows, curves = attack_examples(examples, config, groups)
        halves = _attack_halves(examples, config) if with_halves else []
    n_member = len(outputs.member_labels)
    return CheckpointResult(
        rows=rows,
        halves=halves,
        curves=curves,
        member_loss=np.asarray(examples.loss[:n_member], np.float64),
        nonmember_loss=np.asarray(examples.loss[n_member:], np.float64),
        probability=membership_probability(examples, config.seed),
    )


def attack_examples(
    examples: Examples, config: Attack, groups: Groups | None = None, stream: int = 0
) -> tuple[list[Row], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Rows attack by attack, slice by slice, and the ROC curves on the entire dataset."""
    accuracies = {
        "accuracy": float(examples.correct[examples.is_member].mean()),
        "val_accuracy": float(examples.correct[~examples.is_member].mean()),
    }
    # Who selects epsilon's threshold is drawn once, without a look at any score.
    selects = np.random.default_rng([config.seed, stream]).random(len(examples.labels)) < SELECT
    named = list(slices(examples, config.slices, groups, both_ends=config.mode == "reference"))
    rows: list[Row] = []
    curves = {}
    for attack in config.attacks:
        attacker, least = _attacker(attack, examples, config)
        for name, mask in named:
            at = np.flatnonzero(mask)
            n_member = int(examples.is_member[at].sum())
            head = {"attack": attack, "slice": name, "n_member": n_member, "n_nonmember": len(at) - n_member}
            if reason := too_small(n_member, len(at) - n_member, least):
                rows.append(head | accuracies | refused(reason))
                continue
            seed = [config.seed, stream, zlib.crc32(attack.encode()), zlib.crc32(name.encode())]
            scored, scores = attacker(mask, seed)
            is_member = examples.is_member[scored]
            if config.mode == "reference":
                found = reference.measure(scores, is_member, trained=attack not in reference.SIGNALS)
            else:
                ratio = (len(at) - n_member) / n_member
                found = measure(scores, is_member, selects[scored], ratio, config.delta)
            rows.append(head | accuracies | found)
            if name == "entire dataset":
                curves[attack] = thin(sorted_roc(scores, is_member))
    return rows, curves


def _attack_halves(examples: Examples, config: Attack) -> list[Row]:
    """Rows with the non-members cut into two random halves: one to choose by, one to report."""
    kinds = ["entire", "class"] if "class" in config.slices else ["entire"]
    config = replace(config, slices=kinds)
    members, nonmembers = (np.flatnonzero(examples.is_member == side) for side in (True, False))
    shuffled = np.random.default_rng([config.seed, 2]).permutation(nonmembers)
    rows = []
    for stream, half in ((3, "select"), (4, "report")):
        at = np.concatenate([members, np.sort(shuffled[stream - 3 :: 2])])
        part = type(examples)(examples.logits[at], examples.labels[at], examples.is_member[at])
        if part.is_member.all():
            return []  # a single non-member cannot be cut
        rows += [row | {"half": half} for row in attack_examples(part, config, stream=stream)[0]]
    return rows


def _attacker(name: str, examples: Examples, config: Attack) -> tuple[Attacker, int]:
    """The attack called `name`, ready for slices of `examples`, and the examples of each side it needs."""
    if config.mode == "reference":
        if name in reference.SIGNALS:
            return _by_signal(reference.SIGNALS[name](examples)), 1
        return _by_reference(name, examples), LEAST_REFERENCE_TRAINED
    if name in SIGNALS:
        return _by_signal(SIGNALS[name](examples)), LEAST
    estimator = config.estimators[name]

    def trained(mask: np.ndarray, seed: list[int]) -> Ranked:
        at = np.flatnonzero(mask)
        rng = np.random.default_rng(seed)
        X, is_member = examples.features[at], examples.is_member[at]
        scores, scored = forward_scores(X, is_member, estimator, config.folds, rng)
        return _descending(at[scored], scores[scored])

    return trained, LEAST * config.folds


def _by_signal(scores: np.ndarray) -> Attacker:
    """A threshold attack: all examples are sorted once, slices keep that order."""
    order = np.argsort(-scores)
    ordered = scores[order]

    def attack(mask: np.ndarray, seed: list[int]) -> Ranked:
        kept = mask[order]
        return order[kept], ordered[kept]

    return attack


def _by_reference(name: str, examples: Examples) -> Attacker:
    def attack(mask: np.ndarray, seed: list[int]) -> Ranked:
        at = np.flatnonzero(mask)
        state = int(np.random.SeedSequence(seed).generate_state(1)[0])
        X, is_member = examples.features[at], examples.is_member[at]
        return _descending(at, reference.trained_scores(X, is_member, reference.SEARCHES[name], state))

    return attack


def _descending(at: np.ndarray, scores: np.ndarray) -> Ranked:
    order = np.argsort(-scores)
    return at[order], scores[order]
