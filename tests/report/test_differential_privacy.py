"""What the page says of differential privacy: claims, what they do not cover, and what attacks found."""

import math

import pytest
from report.conftest import read_page

from privacy_report.report.differential_privacy import finding
from privacy_report.report.study import Study
from privacy_report.report.study_files import PARTS, merge
from stages.report import main


@pytest.mark.parametrize(
    ("seed", "said"), [("committed", "void for anyone who knows"), ("secret", "NOT repro")]
)
@pytest.mark.usefixtures("unrasterised")
def test_page_says_what_the_noise_is_worth(study, seed, said):
    root = study(dp=("cnn3_dp",), epochs=10)
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("seed: committed", f"seed: {seed}"))
    main([])
    text = read_page()
    said_of_it = (
        "claims epsilon 3.48 at delta 1e-05 up to epoch 10, whichever of 5 checkpoints is chosen (DP-SGD"
    )
    assert said_of_it in text
    assert "The claim does not cover:</p>\n<ul><li>the attacks&#39; rates</li></ul>" in text
    assert said in text
    assert "not distinguishable from 0" in text


@pytest.mark.usefixtures("unrasterised")
def test_what_several_claims_do_not_cover_is_listed_once(study):
    study(dp=("cnn3_dp", "wide_dp"), epochs=10)
    main([])
    text = read_page()
    assert text.count("The claim does not cover:</p>") == 1
    assert text.count("The claim does not cover what is listed under 3 Layers, DP.</p>") == 1


@pytest.mark.parametrize(
    ("p", "leaks", "said"),
    [
        (0.2, "no", "p = 0.2: not distinguishable from 0."),
        (0.002, "no", "p = 0.002 alone, not significant after Holm's correction over 110 rows."),
        (1e-9, "yes", "p < 0.0001, significant after Holm's correction over 110 rows: it leaks."),
    ],
)
def test_finding_tells_raw_and_corrected(study, p, leaks, said):
    root = study(dp=("cnn3_dp",), epochs=10)
    for table in PARTS:
        merge(table, ["cnn2", "cnn3", "cnn3_dp"])
    loaded = Study(root)
    row = loaded.strongest("cnn3_dp", 10, "advantage")
    row |= {"advantage": 0.019, "advantage_low": 0.0, "advantage_high": 0.0384}
    row |= {"advantage_p": p, "leaks": leaks}
    next(r for r in loaded.privacy if r["variant"] == "cnn3_dp")["advantage_p"] = math.nan  # not attacked
    loaded.every_row.append(row | {"attack": "gap", "leaks": "no"})  # sees less, and is in the family
    assert finding(loaded, "cnn3_dp", 10) == (
        "Strongest attack on the entire dataset at epoch 10 (threshold): "
        f"advantage 0.019 [0.000, 0.038], {said}"
    )
    for row in loaded.entire["cnn3_dp", 10]:
        row["advantage"] = math.nan
    assert finding(loaded, "cnn3_dp", 10) == (
        "No attack on the entire dataset could be measured at epoch 10."
    )
