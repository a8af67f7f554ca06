"""Stage fit: train what the store lacks, of all variants together, on all cores or a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privacy_report.datasets import canaries, prepared
from privacy_report.errors import refuse
from privacy_report.pipeline.command import run
from privacy_report.pipeline.digests import digest
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.params import load, load_each
from privacy_report.pipeline.recorded import checked
from privacy_report.training.announce import announce
from privacy_report.training.chains import Chain, Scored, TargetChain
from privacy_report.training.declared import check_declared
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.person_coins import of_variant
from privacy_report.training.plan import scores, source_of, target
from privacy_report.training.references import Reference, ReferenceChain
from privacy_report.training.schema import Queries, Variant

OUTPUTS = Path("data/fit")
DESCRIPTION = (
    "Train what the store lacks of all variants' targets, with the scores of their checkpoints, and of their "
    "reference models: in one process per core, or on the cluster of DASK_SCHEDULER_ADDRESS. Stages train, "
    "score and reference take the results from the store. Writes data/fit/train/VARIANT.json and "
    "data/fit/reference/VARIANT.json, which say what was asked for. If a file says so already, nothing of it "
    "is trained: the results may have come with `dvc pull`."
)


@dataclass(frozen=True)
class Asked:
    """What the parameters ask for of one variant. size: the members that there would be with all canaries."""

    config: Variant
    size: int
    target: Scored
    references: list[Reference]

    def manifests(self) -> dict[str, Any]:
        """Folder -> what is written there: all that the results of a variant's stage depend on."""
        config, references = self.config, self.references
        targets = {self.target.job.name: digest(self.target.target.inputs)}
        return {
            "train": {"checkpoints": config.checkpoint_epochs, "epochs": config.epochs, "models": targets},
            "reference": {
                "checkpoints": list(references[0].epochs) if references else [],
                "models": {reference.job.name: digest(reference.inputs) for reference in references},
            },
        }

    def chains(self, folder: str) -> Iterator[Chain]:
        """The models of a manifest. Secret noise does not travel: such a target is trained in stage train."""
        if folder == "reference":
            yield from map(ReferenceChain, self.references)
        elif not (self.config.privacy and self.config.privacy.seed == "secret"):
            yield TargetChain(self.target, self.config.epochs, self.size)


def main(argv: Sequence[str]) -> None:
    argparse.ArgumentParser(prog="python -m stages.fit", description=DESCRIPTION).parse_args(argv)
    announce("fit")
    with exclusive("fit", asked) as variants:
        chains, changed = list[Chain](), dict[Path, Any]()
        for name, wanted in variants.items():
            for folder, manifest in wanted.manifests().items():
                path = OUTPUTS / folder / f"{name}.json"
                if _said(path) != manifest:
                    changed[path] = manifest
                    chains += wanted.chains(folder)
        if chains := [chain for chain in chains if chain.left]:
            from privacy_report.training.engine import train  # costs a second or two

            train(chains, "fit")
        for path, manifest in changed.items():  # at the end, so that a killed run has changed no output
            write_json(path, manifest)
        for path in OUTPUTS.glob("*/*.json"):
            if path.stem not in variants:
                path.unlink()


def _said(path: Path) -> Any:
    """A manifest as it is; None where there is none."""
    try:
        return read_json(path)
    except (FileNotFoundError, ValueError):
        return None


def asked() -> dict[str, Asked]:
    """Variant -> what the parameters ask for."""
    params, data = load("reference", ReferenceParams), prepared.read()
    members, variants = len(data.member), {}
    for name, config in load_each("variants", Variant).items():
        check_declared(config)
        check_queries(f"variants.{name}.queries", config.queries, data.images.shape[1:])
        source = source_of(name)
        scored = Scored(
            target(name, config, source),
            scores(config.model, source, config.queries),
            tuple(config.checkpoint_epochs),
            bool(len(canaries.read(canaries.path_of(name)).index)),
        )
        variants[name] = Asked(config, members, scored, of_variant(name, config, params))
    return variants


def check_queries(key: str, queries: Queries | None, shape: tuple[int, ...]) -> None:
    """Refuse, before anything is trained, to ask about turned examples of a `shape` that cannot be turned."""
    if queries is None:
        return
    if len(shape) != 3:
        raise refuse(key, asdict(queries), f"null for examples of shape {shape}, which are no images")
    height, width, _ = shape
    if queries.shift >= min(height, width):
        most = min(height, width) - 1
        raise refuse(f"{key}.shift", queries.shift, f"0..{most} for images of {height} x {width}")


if __name__ == "__main__":
    run(checked(main))
