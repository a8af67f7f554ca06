"""References where rows have persons: a reference trains on all rows of a person, or on none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_report.datasets import persons as people
from privacy_report.datasets import prepared
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.training import references
from privacy_report.training.job import Source
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.plan import source_of
from privacy_report.training.references import Reference
from privacy_report.training.schema import Variant


def of_variant(variant: str, config: Variant, params: ReferenceParams) -> list[Reference]:
    """The references of a variant, on its examples as they are now. UserError where there are none."""
    data = prepared.read()
    n = len(data.member) + len(data.nonmember)
    return planned(variant, config, params, n, source_of(variant), people.of_references(variant))


def planned(
    variant: str,
    config: Variant,
    params: ReferenceParams,
    n: int,
    source: Source,
    persons: np.ndarray | None = None,
) -> list[Reference]:
    """The references of a variant, as `references.planned`; persons int (n,): whose row each example is."""
    if persons is None:
        return references.planned(variant, config, params, n, source)
    everybody, person = np.unique(persons, return_inverse=True)
    by_person = references.planned(variant, config, params, len(everybody), source)
    return [_of_rows(reference, reference.trains[person]) for reference in by_person]


def _of_rows(reference: Reference, trains: np.ndarray) -> Reference:
    """A reference that trains on these rows."""
    return replace(
        reference, trains=trains, inputs=reference.inputs | {"members": arrays_digest({"": trains})}
    )
