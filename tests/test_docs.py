"""README and docs/: links lead somewhere, names exist, and what there is of each kind is described."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from doc_blocks import DOCS, README, cells, quoted, section
from sandbox import ROOT

from privacy_report.__main__ import COMMANDS
from privacy_report.attack import registry
from privacy_report.audits.attacks import default_estimators
from privacy_report.audits.written import EXAMPLE_COLUMNS
from privacy_report.commands.watch import PAGE
from privacy_report.gate.rules import RULES
from privacy_report.pipeline import contract
from privacy_report.report import remedies

PAGES = [README, *sorted(DOCS.glob("*.md"))]
MOST_WORDS = 900
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
GRAPH = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
MAKEFILE = (ROOT / "Makefile").read_text()

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# Links


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    assert targets
    for target in targets:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links {target}, no such heading"


def test_readme_links_every_page():
    linked = set(re.findall(r"\]\((docs/\w+\.md)", README.read_text()))
    assert linked == {f"docs/{page.name}" for page in DOCS.glob("*.md")}


@each_page
def test_a_page_begins_with_what_it_is_for(page: Path):
    lines = page.read_text().split("\n\n")
    assert lines[0].startswith("# ")
    assert lines[1][0].isalpha()
    assert lines[1].rstrip().endswith(".")


# Names


def spans(page: Path) -> list[str]:
    """What a page quotes in backticks, code blocks left out."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))


def commands(page: Path) -> Iterator[str]:
    """Each line of code and each quoted span of a page."""
    for block in FENCE.findall(page.read_text()):
        yield from block.splitlines()[1:-1]
    yield from spans(page)


def is_defined(dotted: str) -> bool:
    """Whether a dotted name is a module of this project, or something that one defines or imports."""
    *parts, name = dotted.split(".")
    path = ROOT.joinpath(*parts, name)
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module = ROOT.joinpath(*parts).with_suffix(".py")
    if not module.is_file():
        return len(parts) > 1 and is_defined(".".join(parts))  # an attribute of a class
    names = {node.id for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Name)}
    names |= {
        node.name
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    return name in names


OUTPUTS = {
    name
    for stage in GRAPH.values()
    for out in stage.get("outs", [])
    for name in (out if isinstance(out, dict) else [out])
} | {str(PAGE)}
"""What DVC's stages write, and watch: there after a run, whether git keeps it or not."""
TOP = r"(?:privacy_report|stages|conf|docs|tests|benchmarks|notebooks|plots|\.github|\.dvc|\.ci)"


@each_page
def test_named_files_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(rf"{TOP}/[\w./-]*", span) and not re.search(r"\b[A-Z]{4,}\b", span):
            assert (ROOT / span).exists() or span in OUTPUTS, f"{page.name} names {span}"
        elif re.fullmatch(r"[\w.-]+\.(toml|lock|yaml)|Makefile|[A-Z]+\.md", span):
            assert (ROOT / span).exists() or list(ROOT.glob(f"conf/*/{span}")), f"{page.name} names {span}"


@each_page
def test_named_modules_and_functions_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(r"(privacy_report|stages)(\.\w+)+", span):
            assert is_defined(span), f"{page.name} names {span}"
    for line in commands(page):
        for module in re.findall(r"python -m ((?:privacy_report|stages|benchmarks)[\w.]*)", line):
            assert is_defined(module), f"{page.name} runs {module}"
        for file in re.findall(r"python ([\w/]+\.py)", line):
            assert (ROOT / file).exists(), f"{page.name} runs {file}"
        for target in re.findall(r"\bmake (?:-j\d )?([a-z][a-z-]*)", line):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{page.name} runs make {target}"
        for command in re.findall(r"privacy-report ([a-z]+)\b", line):
            assert command in COMMANDS, f"{page.name} runs privacy-report {command}"


@each_page
def test_named_parameters_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(rf"({'|'.join(PARAMS)})(\.\w+)+", span):
            params = PARAMS
            for key in span.split("."):
                assert key in params, f"{page.name} names the parameter {span}"
                params = params[key]


# Tables


def first_column(page: str, heading: str) -> list[str]:
    """What the first column of the tables in a section quotes."""
    return [name for row in cells(section(page, heading)) for name in quoted(row[0])]


def test_readme_is_short():
    """As `wc -w` counts: tables, code and links, too."""
    assert len(README.read_text().split()) <= MOST_WORDS


def test_every_attack_is_described():
    default = registry.known(registry.DEFAULT, default_estimators())
    assert sorted(first_column("attacks.md", "The attacks")) == sorted(default)
    parity = registry.known(registry.PARITY)
    assert sorted(first_column("attacks.md", "The attacks of the parity mode")) == sorted(parity)


def test_every_attack_is_listed_with_what_it_needs():
    for row in cells(section("attacks.md", "The attacks")):
        (name,) = quoted(row[0])
        assert row[1] == registry.find(name, registry.DEFAULT, default_estimators()).needs


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("privacy.csv", contract.PRIVACY_COLUMNS),
        ("halves.csv", ("half",)),
        ("roc.csv", contract.ROC_COLUMNS),
        ("plots/curves.csv", contract.CURVES_COLUMNS),
        ("plots/canaries.csv", contract.CANARY_COLUMNS),
        ("plots/remedies.csv", remedies.COLUMNS),
        ("plots/roc.csv", contract.PLOTTED_ROC_COLUMNS),
        ("histograms.csv", contract.HISTOGRAM_COLUMNS),
        ("exposed.csv", contract.EXPOSED_COLUMNS),
        ("record_auc.csv", contract.RECORD_AUC_COLUMNS),
        ("history.csv", contract.HISTORY_COLUMNS),
        ("examples.csv", EXAMPLE_COLUMNS),
    ],
)
def test_every_column_is_described(heading, columns):
    assert first_column("files.md", heading) == list(columns)


def test_halves_has_one_column_more_than_privacy():
    assert contract.HALVES_COLUMNS[:-1] == contract.PRIVACY_COLUMNS


def test_every_rule_is_described():
    assert first_column("gate.md", "The rules") == list(RULES)


def test_every_command_is_described():
    described = [name.split(" ") for name in first_column("files.md", "Commands")]
    named = {" ".join(words[: 3 if words[0] == "python" else 2]) for words in described}
    targets = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
    assert named == {
        *(f"python -m stages.{stage}" for stage in GRAPH),
        *(f"privacy-report {command}" for command in COMMANDS),
        *(f"make {target}" for target in targets),
        "python -m privacy_report.gate.comment",
        "python -m privacy_report.report.offline",
        "python -m privacy_report.report.templates",
    }


ODD = re.compile(
    r"\bby lot\b|\ball else\b|\bof one's own\b|\brightly\b|\bbut for\b|\bbeside\b|\banew\b|\bheld against\b|"
    r"\b(row|line|label|score|model|process|core|variant|example|task|epoch|channel|file)s? an? "
    r"(row|epoch|variant|model|core|task|example|side|seed|attack|image|channel)\b"
)
"""What no native speaker says."""


def test_no_page_says_what_nobody_says():
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")]
    matches = {page.name: match[0] for page in pages for match in ODD.finditer(page.read_text())}
    assert matches == {}


def test_every_benchmark_is_described():
    text = (DOCS / "benchmarks.md").read_text()
    for path in (ROOT / "benchmarks").glob("*.*"):
        assert f"`benchmarks/{path.name}`" in text, path.name
