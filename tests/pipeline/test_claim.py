"""The claim of a private variant as a file: what was written is read, what guarantees nothing is refused."""

import json
import math
from dataclasses import replace

import pytest

from privacy_report.errors import UserError
from privacy_report.pipeline import claim

CLAIM = claim.Claim("DP-SGD", 8.0, 1e-5, 30, (2, 4, 30), 0.7, 1.0, 0.01, 3000, ("the attacks' rates",))


@pytest.mark.parametrize("found", [CLAIM, None])
def test_what_was_written_is_read(found, tmp_path):
    path = claim.path_of("v", tmp_path)
    claim.write(path, found)
    assert claim.read(path) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon": math.nan},
        {"epsilon": math.inf},
        {"epsilon": -1.0},
        {"delta": 0.0},
        {"delta": 1.0},
        {"compared": ()},
        {"epoch": 29},
    ],
)
def test_no_guarantee_is_no_claim(changes):
    with pytest.raises(UserError, match=r"^claim: got "):
        replace(CLAIM, **changes)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", '{"epsilon": 8.0}', json.dumps(vars(CLAIM) | {"epsilon": "8"}), None],
    ids=["empty", "nothing", "list", "part", "text for a number", "no file"],
)
def test_a_damaged_file_is_one_line_that_says_what_writes_it(text, tmp_path):
    path = claim.path_of("v", tmp_path)
    path.parent.mkdir()
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"claim\.json: missing or damaged; `dvc repro train@v` writes it$"):
        claim.read(path)
