"""The whole stage on made-up inputs: what is written, the same each time, and what the page says."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from stages.errors import UserError
from stages.report import page
from stages.report.__main__ import main
from stages.report.provenance import duration, read_times, seeds
from stages.report.tables import PARTS, merge

PICTURES = [
    "vulnerability_by_epoch",
    "privacy_vs_accuracy",
    "roc",
    "advantage_by_class",
    "loss_histograms",
    "exposed_images",
    "epsilon",
]


def digests():
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path("plots").iterdir())
    }


def test_same_inputs_same_bytes(study):
    study(epochs=10)
    main([])
    first = digests()
    assert {f"{name}.png" for name in PICTURES} | {
        "training.csv",
        "privacy.csv",
        "roc.csv",
        "report.html",
    } == set(first)
    main([])
    assert digests() == first


def test_dpi_changes_pngs_alone(study):
    root = study(epochs=10)
    main([])
    first = digests()
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("dpi: 80", "dpi: 60"))
    main([])
    changed = {name for name, digest in digests().items() if digest != first[name]}
    assert changed == {f"{name}.png" for name in PICTURES} | {"report.html"}  # the page quotes params.yaml
    with Image.open("plots/roc.png") as image:
        assert image.size == (int(60 * 9.2), int(60 * 3.8))


def test_page_stands_alone_and_says_the_verdict(study):
    study(dp=("cnn3_dp",))
    main([])
    text = Path("plots/report.html").read_text()
    assert len(text.encode()) <= page.LARGEST
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|@import', text)
    assert len(re.findall(r"<svg [^>]*aria-label=", text)) == text.count("<svg ")
    verdicts = json.loads(Path("metrics/gate.json").read_text())["variants"]
    for verdict in verdicts.values():
        assert f"Ship epoch {verdict['recommended_epoch']}<" in text
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings[0] == "Verdict"
    assert headings[-2:] == ["What these numbers do not prove", "Where this comes from"]
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_page_escapes_what_it_quotes(study):
    root = study(epochs=10)
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("label: 2 Layers", "label: '<b>2 & \"more\"'"))
    main([])
    assert "<b>" not in Path("plots/report.html").read_text()


def test_no_passing_checkpoint_is_said(study):
    root = study(epochs=10)
    verdicts = json.loads((root / "metrics/gate.json").read_text())
    cnn2 = verdicts["variants"]["cnn2"]
    cnn2 = {"verdict": "fail", "checkpoints": 5, "passing": 0, "failing": cnn2["failing"]}
    verdicts["variants"]["cnn2"] = cnn2
    (root / "metrics/gate.json").write_text(json.dumps(verdicts))
    main([])
    text = Path("plots/report.html").read_text()
    assert "Do not ship" in text
    assert "Of 5 checkpoints: “" in text


def test_a_page_too_large_is_refused(study, monkeypatch):
    study(epochs=10)
    monkeypatch.setattr(page, "LARGEST", 1000)
    with pytest.raises(UserError, match=r"report\.exposed_images: the page would have \d+ bytes"):
        main([])


def test_table_on_the_terminal(study, capsys):
    study(dp=("cnn3_dp",))
    for table in PARTS:
        merge(table, ["cnn2", "cnn3", "cnn3_dp"])
    main(["--table"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 160
    (line,) = (line for line in lines if line.startswith("3 Layers, DP") and "last" in line)
    assert "7.78" in line  # the claimed epsilon
    assert any("breaks 3 rules" in line for line in lines)


def test_refused_rows_are_counted(study):
    study(refused=True)
    main([])
    assert "refused: a side has fewer than 20 examples (" in Path("plots/report.html").read_text()


def test_times_are_read_when_they_are_there(tmp_path):
    folder = tmp_path / ".store/timings"
    folder.mkdir(parents=True)
    (folder / "train@cnn2.json").write_text('{"seconds": 754.0}')
    (folder / "prepare.json").write_text("not json")
    assert read_times(tmp_path) == {"train@cnn2": 754.0}
    assert [duration(seconds) for seconds in (None, 3.21)] == ["not recorded", "3.2 s"]
    assert [duration(seconds) for seconds in (754.0, 9000.0)] == ["12.6 min", "2.5 h"]


def test_seeds_are_found_where_they_stand():
    variants = "variants:\n  a:\n    seed: 0\n    privacy:\n      seed: secret\n  b:\n    seed: 1\n"
    text = "dataset:\n  seed: 3\n" + variants
    assert seeds(text) == (
        "dataset.seed = 3, variants.a.seed = 0, variants.a.privacy.seed = secret, variants.b.seed = 1"
    )
