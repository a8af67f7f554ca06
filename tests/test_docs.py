"""README and docs/: links lead somewhere, names exist, and tables are what code and committed files say."""

from __future__ import annotations

import ast
import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sandbox import ROOT

from privacy_report.__main__ import COMMANDS
from privacy_report.attack import registry
from privacy_report.attack.audit import default_estimators
from privacy_report.commands.audit import EXAMPLE_COLUMNS
from privacy_report.gate.rules import RULES
from privacy_report.pipeline import contract
from privacy_report.pipeline.tables import read_rows, where

README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
MOST_WORDS = 900
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
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


TOP = r"(?:privacy_report|stages|conf|docs|tests|benchmarks|plots|\.github|\.dvc|\.ci)"


@each_page
def test_named_files_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(rf"{TOP}/[\w./-]*", span) and not re.search(r"\b[A-Z]{4,}\b", span):
            assert (ROOT / span).exists(), f"{page.name} names {span}"
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
        for target in re.findall(r"\bmake (?:-j\d )?([a-z]+)\b", line):
            assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"{page.name} runs make {target}"
        for command in re.findall(r"privacy-report ([a-z]+)\b", line):
            assert command in COMMANDS, f"{page.name} runs privacy-report {command}"


@each_page
def test_named_parameters_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(rf"({'|'.join(PARAMS)})(\.\w+)+", span):
            found = PARAMS
            for key in span.split("."):
                assert key in found, f"{page.name} names the parameter {span}"
                found = found[key]


# Tables


def section(page: str, heading: str) -> str:
    """A section of a page in docs/, up to the next heading of any level."""
    found = re.split(r"^#+ (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return found[found.index(heading) + 1]


def cells(text: str) -> list[list[str]]:
    """The rows of a text's tables, without their heads."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    rules = [i for i, row in enumerate(rows) if set("".join(row)) <= {"-", ":"}]
    heads = {*rules, *(i - 1 for i in rules)}
    return [row for i, row in enumerate(rows) if i not in heads]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_column(page: str, heading: str) -> list[str]:
    """What the first column of the tables in a section quotes."""
    return [name for row in cells(section(page, heading)) for name in quoted(row[0])]


def test_readme_is_short():
    text = re.sub(r"<!--.*?-->", "", FENCE.sub("", README.read_text()), flags=re.DOTALL)
    text = "\n".join(line for line in text.splitlines() if not line.startswith(("|", "![")))
    words = [word for word in re.sub(r"\]\([^)]*\)", "]", text).split() if re.search(r"\w", word)]
    assert len(words) <= MOST_WORDS


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
        ("plots/roc.csv", contract.PLOTTED_ROC_COLUMNS),
        ("histograms.csv", contract.HISTOGRAM_COLUMNS),
        ("exposed.csv", contract.EXPOSED_COLUMNS),
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
    found = {" ".join(words[: 3 if words[0] == "python" else 2]) for words in described}
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    targets = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
    assert found == {
        *(f"python -m stages.{stage}" for stage in graph),
        *(f"privacy-report {command}" for command in COMMANDS),
        *(f"make {target}" for target in targets),
        "python -m privacy_report.report.offline",
    }


def room(dotted: str) -> str:
    """The room that a module is in: a package of the library, a module next to them, or stages."""
    parts = dotted.split(".")
    return parts[0] if parts[0] == "stages" or len(parts) == 1 else ".".join(parts[:2])


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_by_room() -> dict[str, tuple[set[str], set[str]]]:
    """Room -> the rooms and the libraries that its files import."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted([*(ROOT / "stages").rglob("*.py"), *(ROOT / "privacy_report").rglob("*.py")]):
        here = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        rooms, libraries = found.setdefault(here, (set(), set()))
        for name in imported(path):
            top = name.partition(".")[0]
            if top in ("privacy_report", "stages"):
                rooms |= {room(name)} - {here}
            elif top not in sys.stdlib_module_names:
                libraries.add(top)
    return {here: names for here, names in found.items() if here != "privacy_report.__init__"}


def test_import_table_is_what_the_code_imports():
    table = {
        quoted(row[0])[0]: (set(quoted(row[1])), set(quoted(row[2])))
        for row in cells(section("development.md", "The rooms"))
    }
    expected = imports_by_room()
    lines = [
        " | ".join(", ".join(f"`{name}`" for name in sorted(names)) for names in ({here}, *both))
        for here, both in expected.items()
    ]
    assert table == expected, "the code says:\n" + "\n".join(f"| {line} |" for line in lines)


# Figures


def check_block(page: Path, name: str, expected: list[str]) -> None:
    """The table lines between <!-- name --> and <!-- /name --> are the expected ones."""
    block = page.read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert lines == expected, f"{page.name}, {name}, expected:\n" + "\n".join(expected)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, a line a row."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def amount(value: float) -> str:
    """Seconds, MiB or a ratio as the tables show them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def measured(row: dict, column: str, percent: bool = False) -> str:
    """A number with its 95% interval, "-" where there is none."""
    ends = [row.get(name, math.nan) for name in contract.with_ends(column)]
    if any(math.isnan(end) for end in ends):
        return "-"
    if percent:
        return "{:.1f}% ({:.1f}-{:.1f}%)".format(*(100 * end for end in ends))
    return "{:.3f} ({:.3f}-{:.3f})".format(*ends)


HOLDS = {
    "outputs only": (registry.OUTPUTS, registry.FEATURES),
    "outputs, early checkpoints": (registry.EARLY,),
    "outputs, reference models": (registry.REFERENCES,),
}
"""What the attacker holds, in the words of the README's table -> the registry's."""


def last_checkpoints() -> list[str]:
    """The strongest attack (by AUC) of each kind at each variant's last checkpoint."""
    repeated = (contract.STRONGEST, contract.STRONGEST_ON_OUTPUTS)
    entire = [row for row in read_rows(ROOT / "plots/curves.csv") if row["attack"] not in repeated]
    lines = []
    for variant, settings in PARAMS["variants"].items():
        last = max(row["epoch"] for row in where(entire, variant=variant))
        rows = list(where(entire, variant=variant, epoch=last))
        accuracies = f"{rows[0]['accuracy']:.3f} / {rows[0]['val_accuracy']:.3f}"
        for words, needs in HOLDS.items():
            of_kind = [
                row
                for row in rows
                if row["attack"] != registry.PLACEBO
                and registry.find(row["attack"], registry.DEFAULT, default_estimators()).needs in needs
                and not math.isnan(row["auc"])
            ]
            best = max(of_kind, key=lambda row: row["auc"], default={})
            attack = f"`{best['attack']}`" if best else "-"
            numbers = [measured(best, "auc"), measured(best, "advantage")]
            numbers.append(measured(best, "tpr_at_1pct_fpr", percent=True))
            lines.append([f"{settings['label']}, {last:.0f}", accuracies, words, attack, *numbers])
    head = ["variant, epoch", "train / validation accuracy", "attacker holds", "strongest attack", "AUC"]
    return table([*head, "advantage", "members found at 1% FPR"], lines)


def verdicts() -> list[str]:
    """The gate's verdicts, as metrics/ has them."""
    lines = []
    for variant, settings in PARAMS["variants"].items():
        found = json.loads((ROOT / f"metrics/{variant}.json").read_text())

        def said(name: str, found: dict = found) -> str:
            return f"{found[name]:.3f}" if name in found else "-"

        epoch = found.get("recommended_epoch", "none")
        accuracies = f"{said('train_accuracy')} / {said('val_accuracy')}"
        epsilons = f"{said('epsilon')} / {said('epsilon_audited')}"
        found_members = f"{100 * found['tpr_at_1pct_fpr']:.1f}%" if "tpr_at_1pct_fpr" in found else "-"
        numbers = [said("auc"), said("advantage"), found_members]
        lines.append([settings["label"], found["verdict"], str(epoch), accuracies, *numbers, epsilons])
    head = ["variant", "verdict", "recommended epoch", "train / validation accuracy", "AUC", "advantage"]
    return table([*head, "members found at 1% FPR", "epsilon, claimed / audited (95%)"], lines)


def test_readmes_results_are_those_of_the_committed_run():
    check_block(README, "results", [*last_checkpoints(), *verdicts()])


def test_power_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/calibration.json").read_text())
    rows = []
    for key, values in found.items():
        if power := re.fullmatch(r"power d=([\d.]+), (\w+), (\w+)", key):
            shift, mode, attack = power.groups()
            auc = f"{values['auc_mean']:.3f} ({values['auc_sd']:.3f})"
            shares = ("auc_covered", "own_auc_covered", "default_keeps_up")
            numbers = [f"{values[name]:.1%}" if name in values else "" for name in shares]
            rows.append([shift, f"{mode}, {attack}", str(values["draws"]), auc, *numbers])
    head = ["d", "mode, attack", "draws", "mean AUC (sd)", "covers Phi(d / sqrt 2)", "covers its own AUC"]
    check_block(DOCS / "statistics.md", "power", table([*head, "default's upper end reaches it"], rows))


def test_speed_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/results.json").read_text())["table"]
    rows = [
        [key, *(amount(row[name]) for name in ("reference", "ours", "ratio"))] for key, row in found.items()
    ]
    check_block(DOCS / "benchmarks.md", "speed", table(["", "reference", "ours", "ratio"], rows))


def test_sweep_table_is_what_was_measured():
    with open(ROOT / "benchmarks/dp_sweep.csv", newline="") as file:
        head, *rows = csv.reader(file)
    check_block(DOCS / "differential_privacy.md", "sweep", table(head, rows))
