"""Stage canaries: which training examples of one variant are canaries, and the coin of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from privacy_report.datasets import canaries, canary_draw, persons, prepared
from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import refuse
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run, variant_named
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.training.schema import Variant


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "canaries",
        "Draw the canaries of one variant among the members of data/prepare, as its section "
        "`canaries` says, and flip a coin for each. Writes data/canaries/VARIANT.npz: index, labels, images, "
        "is_member. All of them are empty for a variant without canaries, and for one whose canaries are "
        "gradients: these are not examples, and training adds them.",
    )

    def inputs() -> tuple[Variant, str]:
        return load(f"variants.{name}", Variant), prepared.files_digest()

    with exclusive(f"canaries@{name}", inputs) as (config, _), memo.timed(f"canaries@{name}"):
        drawn = canary_draw.drawn(_candidates(config), config.canaries)
        canary_draw.write(canaries.path_of(name), drawn)
    if config.canaries and config.canaries.are_examples:
        print(f"{name}: {len(drawn.index)} canaries, {drawn.is_member.sum()} of them in", flush=True)


def _candidates(config: Variant) -> Prepared:
    """The examples whose members may be canaries: of each person one row, so that coins are of persons."""
    examples = prepared.read()
    who, asked = persons.read(examples), config.canaries
    if who is None or asked is None or not asked.are_examples:
        return examples
    rows = persons.one_row_each(examples, who, asked.seed)
    if asked.count > len(rows):
        raise refuse("canaries.count", asked.count, f"at most {len(rows)}, the persons who are members")
    return replace(examples, member=rows)


if __name__ == "__main__":
    run(checked(main))
