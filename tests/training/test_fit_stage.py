"""Stage fit: what it refuses before it trains anything."""

import pytest
from reference_runs import edit
from sandbox import Sandbox

from privacy_report.errors import UserError
from privacy_report.training.schema import Queries
from stages.fit import check_queries

KEY = "variants.v.queries"


@pytest.mark.pipeline
def test_a_shift_as_large_as_the_image_is_refused_before_anything_is_trained(fresh: Sandbox):
    edit(fresh, {"queries": {"mirror": True, "shift": 32}})
    done = fresh.python("-m", "stages.fit", check=False)
    assert done.returncode == 2
    said = "error: variants.cnn2.queries.shift: got 32, allowed: 0..31 for images of 32 x 32"
    assert done.stderr.splitlines()[-1] == said
    assert not list((fresh.root / ".store").rglob("*.npz"))


@pytest.mark.parametrize(
    ("queries", "shape", "words"),
    [
        (
            Queries(mirror=True),
            (13,),
            r"^variants\.v\.queries: got {'mirror': True, .* allowed: null for .*13",
        ),
        (Queries(shift=1), (8, 9), r"^variants\.v\.queries: got .* \(8, 9\), which are no images$"),
        (
            Queries(shift=8),
            (9, 8, 1),
            r"^variants\.v\.queries\.shift: got 8, allowed: 0\.\.7 for images of 9 x 8",
        ),
    ],
)
def test_queries_that_the_examples_cannot_be_turned_for_are_refused(queries, shape, words):
    with pytest.raises(UserError, match=words):
        check_queries(KEY, queries, shape)


def test_other_queries_pass():
    check_queries(KEY, None, (13,))
    check_queries(KEY, Queries(mirror=True), (1, 1, 3))
    check_queries(KEY, Queries(shift=7), (8, 9, 3))
