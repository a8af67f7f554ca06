"""What the page says about epsilon, about the processors, and about how images are ranked."""

import json
import re
from pathlib import Path

import pytest

from stages.report import main


def page() -> str:
    main([])
    return Path("plots/report.html").read_text()


@pytest.mark.parametrize("dp", [(), ("cnn3_dp",)])
def test_epsilon_is_audited_not_proven(study, capsys, dp):
    study(epochs=4, dp=dp)
    text = page()
    assert "<th>ε audited (95%)</th>" in text
    assert "ε audited (95%)" in capsys.readouterr().out
    assert "diagnostic, no proof" in text
    assert "exchangeable" in text
    assert "independent trials" in text
    assert not re.findall(r"proven|\bproves?\b", text.replace("What these numbers do not prove", ""))


@pytest.mark.parametrize(("kinds", "mixed"), [(["Xeon A"], False), (["Xeon A", "Xeon B"], True)])
def test_page_names_the_kinds_of_processor_that_were_mixed(study, kinds, mixed):
    root = study(epochs=4)
    (root / ".store/notes").mkdir(parents=True)
    note = json.dumps({"seconds": 60.0, "processors": kinds})
    (root / ".store/notes/reference@cnn2.json").write_text(note)
    text = page()
    said = "<dt>Processors</dt><dd>Xeon A; Xeon B. Results of several kinds of processor were mixed"
    assert (said in text) is mixed
    assert ("Xeon" in text) is mixed


def test_page_says_by_what_images_are_ranked(study):
    root = study(epochs=4)
    assert "LT-IQR" in page()
    for name in ("cnn2", "cnn3"):
        path = root / f"data/attack/{name}/exposed.csv"
        path.write_text(re.sub(r"lt_iqr,([\d.]+),", r"exposure,\1,0.0025", path.read_text()))
    text = page()
    assert "Ranked by exposure" in text
    assert "LT-IQR" not in text
    assert "found at 0.25% FPR" in text
