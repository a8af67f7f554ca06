"""Stage reference: models that an attacker would train like a variant, and what they say of all examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from privacy_report.datasets import canaries, prepared
from privacy_report.pipeline import store
from privacy_report.pipeline.command import run, variant_named
from privacy_report.pipeline.files import atomic, empty_folder
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.training.announce import announce
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.person_coins import of_variant
from privacy_report.training.references import KIND, Reference, ReferenceChain, phi_of
from privacy_report.training.schema import Variant

OUTPUTS = Path("data/reference")


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "reference",
        "Train reference models of one variant on random parts of members and non-members "
        "together. Writes to data/reference/VARIANT trains.npy, bool (models, n), and phi_NNNN.npy, float32 "
        "(models, n), for each checkpoint epoch: every example's logit-scaled confidence, members first; "
        "(models, queries, n) if the variant has more queries, the example itself first. "
        "Those of canaries are apart, in data/reference/VARIANT/canaries, the canaries that are in first. "
        "Finished intervals are taken from the store, into which stage fit puts them; what it lacks is "
        "trained here. Set DASK_SCHEDULER_ADDRESS to train on a cluster.",
    )
    announce(f"reference@{name}")

    def inputs() -> tuple[list[Reference], int]:
        config, params = load(f"variants.{name}", Variant), load("reference", ReferenceParams)
        data = prepared.read()
        return of_variant(name, config, params), len(data.member) + len(data.nonmember)

    with exclusive(f"reference@{name}", inputs) as (references, n):
        kept, folder = Memo(f"reference@{name}"), OUTPUTS / name
        trains = np.array([reference.trains for reference in references], bool).reshape(-1, n)
        for reference in references:  # what is damaged is set aside here, so that it is trained again
            for epoch in reference.epochs:
                store.get(KIND, reference.key(epoch))
        if left := [chain for chain in map(ReferenceChain, references) if chain.left]:
            from privacy_report.training.engine import train  # costs a second or two

            train(left, f"reference@{name}")
        phis = phi_of(kept, references)
        empty_folder(folder)
        for subfolder, columns in _parts(n, canaries.read(canaries.path_of(name))).items():
            for epoch, phi in phis.items():
                _save(folder / subfolder / f"phi_{epoch:04}.npy", phi[..., columns])
            _save(folder / subfolder / "trains.npy", trains[:, columns])
        kept.close()


def _parts(n: int, drawn: canaries.Canaries) -> dict[str, np.ndarray]:
    """Folder below the variant's -> its examples, of all n: the canaries come last, by their places."""
    m = len(drawn.index)
    parts = {"": np.arange(n - m)}
    if m:
        parts["canaries"] = n - m + np.argsort(~drawn.is_member, kind="stable")
    return parts


def _save(path: Path, array: np.ndarray) -> None:
    with atomic(path) as file:
        np.save(file, array, allow_pickle=False)


if __name__ == "__main__":
    run(checked(main))
