"""The whole stage on made-up inputs: what is written, the same each time, and what the page says."""

import hashlib
import json
import re
import resource
import subprocess
from dataclasses import replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image
from report.conftest import read_page
from rich.console import Console
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.report import by_epoch, histograms, page, summary, terminal
from privacy_report.report.provenance import facts, seeds
from privacy_report.report.study import Study
from privacy_report.report.study_files import PARTS, merge
from privacy_report.report.style import Look
from privacy_report.report.terminal import print_table
from stages.report import main

PICTURES = [
    "vulnerability_by_epoch",
    "privacy_vs_accuracy",
    "roc",
    "advantage_by_class",
    "loss_histograms",
    "exposed_images",
    "epsilon",
    "overview",
    "remedies",
]


def digests():
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path("plots").iterdir())
    }


def test_same_inputs_same_bytes(study):
    study(epochs=10)
    main([])
    first = digests()
    tables = [f"{name}.csv" for name in ("curves", "training", "privacy", "canaries", "roc", "remedies")]
    assert set(first) == {f"{name}.png" for name in PICTURES} | set(tables) | {"report.html"}
    main([])
    assert digests() == first


@pytest.mark.usefixtures("unrasterised")
def test_dvc_is_told_once_of_each_file_that_is_written(study):
    study(epochs=10)
    main([])
    outs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["report"]["outs"]
    told = [path for out in outs for path in ([out] if isinstance(out, str) else out)]
    assert sorted(told) == [f"plots/{name}" for name in sorted(digests())]


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
        assert image.size == (2 * int(60 * 3.7), int(60 * 3.62))


@pytest.mark.usefixtures("unrasterised")
def test_page_stands_alone_and_says_the_verdict(study):
    study(dp=("cnn3_dp",))
    main([])
    text = read_page()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"|url\((?!#)[^)]*\)|@import', text)
    assert len(re.findall(r"<svg [^>]*aria-label=", text)) == text.count("<svg ")
    assert len(re.findall(r'<img [^>]*alt="[^"]', text)) == text.count("<img ")
    for path in Path("data/gate").iterdir():
        epoch = json.loads(path.read_text())["recommended_epoch"]
        leak = "no leak detected" if path.stem == "cnn3_dp" else "leak detected"
        assert f'<strong class="say fair">Passes at epoch {epoch}; {leak}.</strong>' in text
    assert text.count("Tried: outputs.</p>") == text.count("Not tried: reference models, canaries.</p>") == 3
    assert "<strong>Not tried: reference models, canaries.</strong>" in text
    assert "<strong>Not tried on it: reference models, canaries.</strong>" in text
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert headings[:2] == ["Decision", "Explore"]
    assert headings[-3:] == ["Limits of this audit", "Glossary", "Provenance"]
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


@pytest.mark.usefixtures("unrasterised")
def test_page_escapes_what_it_quotes(study):
    root = study(epochs=10)
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("label: 2 Layers", "label: '<b>2 & \"more\"'"))
    main([])
    assert "<b>" not in read_page()


@pytest.mark.usefixtures("unrasterised")
def test_no_passing_checkpoint_is_said(study):
    study(epochs=10, gate={"max_advantage": 0.0})
    main([])
    text = read_page()
    assert text.count('<strong class="say bad">Fails; leak detected at epoch 10.</strong>') == 2
    assert "Of 5 checkpoints: “advantage on the entire dataset at most …” fails at 5." in text
    assert "Ship nothing. None of the 2 variants passes the policy." in text


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


@pytest.mark.parametrize(("bound", "times"), [("-", 0), ("2.00", 1)])
def test_the_terminal_says_against_whom_an_audited_epsilon_holds(study, monkeypatch, bound, times):
    root = study(variants=1)
    for table in PARTS:
        merge(table, ["cnn2"])
    lines = [replace(line, audited=bound) for line in summary.lines(Study(root))]
    monkeypatch.setattr(terminal, "lines", lambda study: lines)
    out = StringIO()
    print_table(Study(root), Console(file=out, width=400))
    assert out.getvalue().count("to an attacker who sees every step's update") == times


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_fits_the_terminal(study, width):
    root = study(dp=("cnn3_dp",))
    for table in PARTS:
        merge(table, ["cnn2", "cnn3", "cnn3_dp"])
    out = StringIO()
    print_table(Study(root), Console(file=out, width=width))
    printed = out.getvalue().splitlines()
    assert max(map(len, printed)) <= width
    assert "…" not in out.getvalue()
    for word in ("Epoch", "Accuracy", "AUC", "Advantage", "Found at", "claimed", "audited", "Verdict"):
        assert any(word in line for line in printed[:2]), word
    for line in summary.lines(Study(root)):
        (row,) = (
            text for text in printed if re.match(rf"{line.variant}  *([a-z, ]+ )?{line.epoch}\*? ", text)
        )
        wanted = [line.val_accuracy, line.auc, line.advantage, line.tpr, line.claimed]
        assert [value for value in wanted if value.split()[0] not in row] == []
        assert (line.auc in row) == (width == 160)
    assert ("*: the recommended checkpoint" in printed) == (width < 160)


@pytest.mark.usefixtures("unrasterised")
def test_refused_rows_are_counted(study):
    study(refused=True)
    main([])
    assert "not attacked: at least 10 of each side are needed (" in read_page()


def test_reasons_are_listed_once_whatever_their_counts(study):
    root = study(refused=True)
    merge("privacy", ["cnn2", "cnn3"])
    loaded = Study(root)
    few = "no tpr_at_0p1pct_fpr: needs 5000 scored non-members"
    low = "AUC below 0.5: members score lower than non-members, which is no advantage"
    for i, row in enumerate(loaded.privacy):
        row["n_nonmember"] = 1000.0 + i
        row["note"] = f"{low}; {few}, has {1000 + i}" if i % 2 else f"{few}, has {1000 + i}"
    loaded.privacy[0]["note"] = "not attacked: 312 members and 7 non-members, at least 50 of each are needed"
    loaded.privacy[2]["note"] = "not attacked: 9 members and 17 non-members, at least 50 of each are needed"
    n = len(loaded.privacy)
    too_few = "not attacked: at least 50 of each side are needed"
    assert page.refused(loaded) == [(few, n - 2), (low, n // 2), (too_few, 2)]


def test_losses_have_a_logarithmic_axis(study):
    root = study(epochs=10)
    for table in PARTS:
        merge(table, ["cnn2", "cnn3"])
    loaded = Study(root)
    panel = histograms.losses_picture(loaded, Look(["cnn2", "cnn3"], ["#111111"])).panels[0]
    ax = Figure().add_subplot()
    panel.draw(ax)
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert low < 1e-5
    assert 6 <= high < 100


def test_advantage_has_its_band(study):
    root = study(epochs=10)
    for table in PARTS:
        merge(table, ["cnn2", "cnn3"])
    picture = by_epoch.vulnerability(Study(root), Look(["cnn2", "cnn3"], ["#111111"]))
    (panel,) = (panel for panel in picture.panels if "Attacker's advantage" in panel.alt)
    ax = Figure().add_subplot()
    panel.draw(ax)
    assert len(ax.collections) == 2  # a band a variant


@pytest.mark.usefixtures("unrasterised")
def test_the_page_names_processors_where_several_kinds_were_mixed(study):
    root = study(epochs=10)
    notes = root / ".store/notes"
    notes.mkdir(parents=True)
    for stage, kind in (("train@cnn2", "Xeon A"), ("reference@cnn3", "Xeon A"), ("train@gone", "Xeon C")):
        (notes / f"{stage}.json").write_text(json.dumps({"seconds": 60.0, "processors": [kind]}))
    (notes / "attack@cnn2.json").write_text("not json")
    assert facts(Study(root))["processors"] == []
    main([])
    text = read_page()
    assert "Processors" not in text
    (notes / "score@cnn2.json").write_text('{"seconds": 1.0, "processors": ["Xeon B"]}')
    main([])
    assert facts(Study(root))["processors"] == ["Xeon A", "Xeon B"]
    assert "Xeon A; Xeon B. Results of several kinds" in read_page()


@pytest.mark.usefixtures("unrasterised")
def test_a_commit_of_results_and_time_change_no_page_and_one_of_inputs_is_named(study):
    study(epochs=10)
    subprocess.run(["git", "init", "--quiet"], check=True)
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]

    def commit(*paths):
        subprocess.run(["git", "add", *paths], check=True)
        subprocess.run(["git", *who, "commit", "--quiet", "--message=x"], check=True)
        return subprocess.run(
            ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        ).stdout.strip()

    Path("conf").mkdir()
    Path("conf/config.yaml").write_text("{}")
    main([])
    assert "<dt>Commit</dt><dd>before the first commit</dd>" in read_page()
    inputs = commit("conf")
    main([])
    first, text = digests(), read_page()
    assert f"<dt>Commit</dt><dd>{inputs} of " in text
    assert f"privacy-report {version('privacy-report')}, " in text
    commit("plots", "params.yaml")
    main([])
    assert digests() == first


def test_seeds_are_found_where_they_stand():
    variants = {"a": {"seed": 0, "privacy": {"seed": "secret"}}, "b": {"seed": 1, "privacy": None}}
    assert seeds({"dataset": {"seed": 3}, "variants": variants}) == [
        "dataset.seed = 3",
        "variants.a.seed = 0",
        "variants.a.privacy.seed = secret",
        "variants.b.seed = 1",
    ]


def test_a_page_that_does_not_fit_on_the_disk(study):
    """One line, no part of it, and the next run writes it."""
    study(epochs=10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(UserError, match=r"^plots/report\.html: cannot be written \(File too large\)"):
            main([])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(Path("plots").glob(".*"))
    assert not Path("plots/report.html").exists()
    main([])
    assert Path("plots/report.html").stat().st_size > 150_000
