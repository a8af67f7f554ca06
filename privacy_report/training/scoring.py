"""A checkpoint's logits on the members and the non-members."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.outputs import Outputs, output_arrays
from privacy_report.training import backend, models, state


class Scorer:
    """Logits of one checkpoint of a model after another; its graph is built once.

    found: the examples, as prepared; they may be memory-mapped. Layers work as they do in inference: nothing
    is dropped, turned or averaged over a batch.
    """

    def __init__(self, model: Component, found: Prepared):
        self.found = found
        self.model = models.build(model, found.images.shape[1:], found.about["n_classes"], seed=0)
        self._predict = backend.predictor(self.model)

    def score(self, arrays: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
        """The arrays of a score file (`Outputs`) from the arrays of a checkpoint called `source`.

        Raises UserError naming it when it is no checkpoint of this model, incomplete, or gives NaN.
        """
        state.load_weights(self.model, arrays, source)
        found = self.found
        outputs = Outputs(
            member_logits=self._predict(found.images, found.member),
            member_labels=found.labels[found.member],
            nonmember_logits=self._predict(found.images, found.nonmember),
            nonmember_labels=found.labels[found.nonmember],
            source=source,
        )
        return output_arrays(outputs)
