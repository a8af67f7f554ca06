"""Write the page around `dvc plots show` with Vega inside it, so that it opens without a network.

DVC's own page loads Vega from a content delivery network. This one takes the same libraries from the
installed package vl-convert-python, so that nothing of them is kept in this repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import vl_convert

from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import atomic

TEMPLATES = 5
"""The version of Vega-Lite that .dvc/plots is written for: DVC names it in its pages."""
# The one name that DVC's pages call; panels and legends are in one column where there is no room for two.
EXPORTS = """const legend = {layout: {top: {anchor: "start", direction: "vertical"}}};
const narrow = spec => ({...spec, columns: 1, config: {...spec.config, legend}});
window.vegaEmbed = (at, spec) =>
  vegaEmbed(at, spec.concat && window.innerWidth < 700 ? narrow(spec) : spec);"""
# `{refresh_tag}` and `{plot_divs}` are DVC's placeholders. Without `{scripts}` it adds no addresses.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>Plots</title>
<link rel="icon" href="data:,">
<style>
body { font: 15px system-ui, sans-serif; margin: 24px; }
body > div { margin-bottom: 32px; }
img { max-width: min(560px, 80vw); } /* two revisions next to each other */
body > div { white-space: normal !important; } /* or below each other: DVC forbids it */
.vega-embed { max-width: 100%; overflow-x: auto; }
.vega-embed, .vega-embed > div { display: flex !important; flex-direction: column; }
.vega-embed .vega-bindings { order: -1; margin-bottom: 8px; } /* what is shown is chosen above it */
@media (max-width: 600px) { body { margin: 12px; } }
</style>
<script>@VEGA@</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def template(bundle: str) -> str:
    """The page with a JavaScript bundle inside. Raises ValueError for one that DVC or HTML would break."""
    for forbidden in ("</script", "{scripts}", "{plot_divs}", "{refresh_tag}"):
        if forbidden in bundle:
            raise ValueError(f"the JavaScript bundle contains {forbidden!r}")
    return PAGE.replace("@VEGA@", bundle)


def latest_vega_lite(major: int) -> str:
    """The newest Vega-Lite of a major version that vl-convert has, as "v5.21"."""
    versions = [tuple(map(int, text.split("."))) for text in vl_convert.get_vegalite_versions()]
    return "v" + ".".join(map(str, max(version for version in versions if version[0] == major)))


def main(argv: Sequence[str]) -> None:
    """Write the template to a file."""
    parser = argparse.ArgumentParser(
        prog="python -m privacy_report.report.offline",
        description=__doc__,
        epilog="Then: dvc config --local plots.html_template <absolute path, or one relative to .dvc/>",
    )
    parser.add_argument("path", type=Path, help="file to write, e.g. .dvc/tmp/plots.html")
    path = parser.parse_args(argv).path
    with atomic(path) as file:
        file.write(template(vl_convert.javascript_bundle(EXPORTS, latest_vega_lite(TEMPLATES))).encode())


if __name__ == "__main__":
    run(main)
