"""A checkpoint's logits on the members and the non-members: the whole job, from files and parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.outputs import Outputs, output_arrays
from privacy_report.training import backend, models, state
from privacy_report.training.job import Source
from privacy_report.training.queries import further_phi
from privacy_report.training.schema import Queries

_last: dict[str, Scorer] = {}
"""The scorers of this process, for the model and the examples that it scored last."""


def score(
    model: Component,
    source: Source,
    canaries: bool,
    arrays: Arrays,
    name: str,
    queries: Queries | None = None,
) -> Arrays:
    """The arrays of a score file: what a checkpoint says of all examples but the canaries, or of these alone.

    arrays: the checkpoint's `architecture` and `weights/NNN`; name: of the checkpoint, for errors. Canaries
    that are in are the members among them. queries: what else is asked. UserError as `Scorer.score`.
    """
    of_model = f"{model} {source}"
    identity = f"{of_model} {canaries}"
    if identity not in _last:
        for other in [other for other in _last if not other.startswith(of_model)]:
            del _last[other]
        world = source.read()
        _last[identity] = Scorer(model, world.coins if canaries else world.others)
    return _last[identity].score(arrays, name, queries)


class Scorer:
    """Logits of one checkpoint of a model after another; its graph is built once.

    examples: as prepared; they may be memory-mapped. Layers work as they do in inference: nothing
    is dropped, turned or averaged over a batch.
    """

    def __init__(self, model: Component, examples: Prepared):
        self.examples = examples
        self.model = models.build(model, examples.images.shape[1:], examples.about["n_classes"], seed=0)
        self._predict = backend.predictor(self.model)

    def score(
        self, arrays: Mapping[str, np.ndarray], source: str, queries: Queries | None = None
    ) -> dict[str, np.ndarray]:
        """The arrays of a score file (`Outputs`) from the arrays of a checkpoint called `source`.

        Raises UserError naming it when it is no checkpoint of this model, incomplete, or gives NaN, and as
        `queries.turns`.
        """
        state.load_weights(self.model, arrays, source)
        examples = self.examples
        outputs = Outputs(
            member_logits=self._predict(examples.images, examples.member),
            member_labels=examples.labels[examples.member],
            nonmember_logits=self._predict(examples.images, examples.nonmember),
            nonmember_labels=examples.labels[examples.nonmember],
            member_query_phi=self._further_phi(examples.member, queries),
            nonmember_query_phi=self._further_phi(examples.nonmember, queries),
            source=source,
        )
        return output_arrays(outputs)

    def _further_phi(self, rows: np.ndarray, queries: Queries | None) -> np.ndarray | None:
        if queries is None:
            return None
        return further_phi(self._predict, self.examples.images, rows, self.examples.labels[rows], queries)
