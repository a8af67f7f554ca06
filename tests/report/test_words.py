"""What the page says about epsilon, about the processors, and about how images are ranked."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from report.conftest import read_page

from stages.report import main


def page() -> str:
    main([])
    return read_page()


@pytest.mark.parametrize("dp", [(), ("cnn3_dp",)])
@pytest.mark.usefixtures("unrasterised")
def test_epsilon_is_audited_not_proven(study, capsys, dp):
    study(epochs=4, dp=dp)
    text = page()
    assert "What canaries show that epsilon is at least (95%)" in text
    assert "ε audited" in capsys.readouterr().out
    words = ("fixed split is a diagnostic, not a proof", "exchangeable", "independent trials")
    assert all(word in text for word in words if dp)
    assert not re.findall(r"proven|\bproves?\b", text)


@pytest.mark.parametrize(("kinds", "mixed"), [(["Xeon A"], False), (["Xeon A", "Xeon B"], True)])
@pytest.mark.usefixtures("unrasterised")
def test_page_names_the_kinds_of_processor_that_were_mixed(study, kinds, mixed):
    root = study(epochs=4)
    (root / ".store/notes").mkdir(parents=True)
    note = json.dumps({"seconds": 60.0, "processors": kinds})
    (root / ".store/notes/reference@cnn2.json").write_text(note)
    text = page()
    said = "<dt>Processors</dt><dd>Xeon A; Xeon B. Results of several kinds of processor were mixed"
    assert (said in text) is mixed
    assert ("Xeon" in text) is mixed


@pytest.mark.usefixtures("unrasterised")
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
    assert "score" not in re.findall(r'<ul class="images">.*?</ul>', text, re.DOTALL)[0]  # no scale in common


@pytest.mark.parametrize("public", ["", "public: false"])
def test_images_are_shown_of_public_data_alone(study, public):
    root = study(epochs=20)
    assert page().count("<li><img") == 12
    shown = Path("plots/exposed_images.png").read_bytes()
    params = (root / "params.yaml").read_text()
    assert "  public: true\n" in params
    (root / "params.yaml").write_text(params.replace("  public: true\n", f"  {public}\n"))
    text = page()
    assert "<li><img" not in text
    assert "None are shown: dataset.public is not true." in text
    assert Path("plots/exposed_images.png").read_bytes() != shown


@pytest.mark.usefixtures("unrasterised")
def test_a_model_at_chance_exposes_no_image(study):
    study(epochs=20, variants=1, dp=("cnn3_dp",))
    text = page()
    assert text.count("<li><img") == 6
    assert "No image of 3 Layers, DP is shown: no attack detected a leak at the last checkpoint" in text


def sentences(text: str) -> list[str]:
    """What the page says in sentences, without tables, quoted results and what a policy or a claim lists."""
    text = re.sub(r"<(script|style|pre|table|svg|nav)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'<section id="epsilon">.*?</section>', "", text, flags=re.DOTALL)
    blocks = re.findall(r"<(p|li|dd|figcaption)\b[^>]*>(.*?)</\1>", text, flags=re.DOTALL)
    plain = [" ".join(unescape(re.sub(r"<[^>]+>", "", block)).split()) for _, block in blocks]
    listed = ("The policy", "not attacked", "no tpr", "2 Layers, epoch", "dataset.seed", "Python ")
    pieces = [sentence for text in plain for sentence in re.split(r"(?<=[.:;?!]) +", text)]
    return [sentence for sentence in pieces if not sentence.startswith(listed)]


@pytest.mark.parametrize("settings", [{"dp": ("cnn3_dp",)}, {"refused": True}, {"variants": 8}])
@pytest.mark.usefixtures("unrasterised")
def test_no_sentence_is_long(study, settings):
    study(epochs=4, attacks=("threshold", "trajectory", "rmia", "placebo"), **settings)
    said = sentences(page())
    assert len(said) > 60
    assert [sentence for sentence in said if len(sentence.split()) > 25] == []


RIDDLES = (
    "hardly err",
    "stands Holm",
    "rightly",
    "nobody who",
    "What stands",
    "keeps it on",
    "by lot",
    "of one's own",
)


@pytest.mark.usefixtures("unrasterised")
def test_no_riddle_is_left(study, capsys):
    study(epochs=4, dp=("cnn3_dp",), attacks=("threshold", "rmia"))
    said = page() + capsys.readouterr().out
    assert [riddle for riddle in RIDDLES if riddle in said] == []


@pytest.mark.usefixtures("unrasterised")
def test_policy_and_glossary_say_what_is_corrected_for(study):
    study(epochs=4)
    text = unescape(page())
    assert text.count("Holm's correction for all attacks, slices and checkpoints of the variant.") >= 2
    assert text.count("Holm's correction for all") == text.count("Holm's correction for all attacks")
