"""What the site has that docs/ has not: API pages, the last report, pictures and links next to docs/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "plots/report.html"
API = """# API

These are the names that `import privacy_report as pr` has.

::: privacy_report.audits.api.audit

::: privacy_report.audits.api.audit_file

::: privacy_report.audits.scored.score

::: privacy_report.audits.api.Audit
"""
LIVE = """# Report on CIFAR-10

[The page that the pipeline wrote](study.html), whole and without a network.

<iframe src="study.html" title="The report" style="width: 100%; height: 80vh; border: 0"></iframe>
"""
ABSENT = """# Report on CIFAR-10

The page of the committed run is in DVC's cache: `dvc pull plots/report.html` fetches it from a remote,
and `make repro` writes it. This site was built without it.

![Vulnerability by epoch, and vulnerability against validation accuracy](../plots/overview.png)
"""
OUTSIDE = re.compile(r"(!?)\[([^\]]*)\]\(\.\./([^)#]+)[^)]*\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, the report where there is one, and the pictures that pages show."""
    for name, text in {"api.md": API, "cifar10.md": LIVE if REPORT.exists() else ABSENT}.items():
        files.append(File.generated(config, name, content=text))
    if REPORT.exists():
        files.append(File.generated(config, "study.html", abs_src_path=str(REPORT)))
    for picture in (ROOT / "plots/overview.png", *(ROOT / "benchmarks").glob("*.png")):
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links to files outside docs/ lead to the repository, or are plain text where no address is set."""
    del page, files

    def outside(link: re.Match[str]) -> str:
        picture, text, path = link.groups()
        if picture:
            return f"![{text}](pictures/{Path(path).name})"
        return f"[{text}]({config.repo_url}/blob/main/{path})" if config.repo_url else f"{text} (`{path}`)"

    return OUTSIDE.sub(outside, markdown)
