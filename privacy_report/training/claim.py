"""What a private run may claim, from its settings and its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from privacy_report.pipeline.claim import Claim
from privacy_report.training import sampling
from privacy_report.training.schema import Privacy, Variant

MECHANISM = (
    "DP-SGD's clipped and noised gradients under Poisson sampling, accounted by privacy loss distributions "
    "for neighbours that differ by one example more or less"
)
CHOICE = (
    "a checkpoint chosen by the scores of members, as the gate does when it judges the attacks; a choice by "
    "non-members alone costs nothing"
)
RESULTS = (
    "what is computed from the members without noise: their accuracy, the attacks' rates, who is exposed"
)
TRIALS = "settings chosen by trials on the members"
OTHERS = "other models of the same members, such as audit twins and repeats, whose epsilons add up"
FITTED = "what was learnt from the members before this training: scales, categories, first weights"
SELF_CHECK = (
    "the p-values of the trainer's self-check, which are computed from the noise: privacy_check.json and the "
    "checkpoint files hold them, corrected and rounded to powers of ten"
)
RUNNING = (
    "the running loss and accuracy of the members, which history.csv and the checkpoint files hold "
    "(privacy.keep_running: true)"
)
SEED = "anybody who reads the seed of the noise in params.yaml (privacy.seed: committed)"


def claim_of(config: Variant, n_member: int, history: Sequence[Mapping[str, Any]]) -> Claim | None:
    """The claim of a finished run; None for an ordinary one.

    n_member: as many as the batches were drawn from; history: a row per epoch, with the columns of HISTORY.
    All its epochs are there to be compared, so epsilon is that of the last, whichever is chosen.
    """
    if config.privacy is None:
        return None
    last = history[-1]
    return Claim(
        mechanism=MECHANISM,
        epsilon=float(last["epsilon"]),
        delta=config.privacy.delta,
        epoch=int(last["epoch"]),
        compared=tuple(config.checkpoint_epochs),
        noise_multiplier=float(last["noise_multiplier"]),
        l2_norm_clip=config.privacy.l2_norm_clip,
        sampling_probability=config.batch_size / n_member,
        steps=sampling.poisson_steps(n_member, config.batch_size) * int(last["epoch"]),
        not_covered=_not_covered(config.privacy),
    )


def _not_covered(privacy: Privacy) -> tuple[str, ...]:
    phrases = [CHOICE, RESULTS, TRIALS, OTHERS, FITTED, SELF_CHECK]
    if privacy.keep_running:
        phrases.append(RUNNING)
    if privacy.seed == "committed":
        phrases.append(SEED)
    return tuple(phrases)
