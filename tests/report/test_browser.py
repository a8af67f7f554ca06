"""The written page as a browser shows it: no request, no error, no sideways scrolling, accessible."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stages.report import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a page that asks anything of the network gets nothing
    "--virtual-time-budget=60000",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)"),
]

MEASURE = """
<pre id="found"></pre><iframe id="page" style="border:0;width:%(width)dpx;height:9000px"></iframe>
<script>
const frame = document.getElementById("page");
frame.onload = () => {
  const page = frame.contentDocument, all = [...page.querySelectorAll("*")];
  const inside = element => element.closest(".scroll, pre, svg");
  const wide = all.filter(e => !inside(e) && e.getBoundingClientRect().right > %(width)d + 1);
  const asked = frame.contentWindow.performance.getEntriesByType("resource").map(e => e.name);
  const named = e => e.tagName == "IMG" ? e.alt : e.tagName != "svg" || e.getAttribute("aria-label");
  document.getElementById("found").textContent = JSON.stringify({
    inner: page.documentElement.clientWidth,
    scroll: page.documentElement.scrollWidth,
    wide: wide.map(e => e.outerHTML.slice(0, 80)),
    requests: asked.filter(name => !name.startsWith("data:")),
    unnamed: all.filter(e => !named(e)).length,
    broken: all.filter(e => e.tagName == "IMG" && !e.naturalWidth).length,
    figures: page.querySelectorAll("figure svg").length,
    captions: [...page.querySelectorAll("figure")].filter(e => !e.querySelector("figcaption")).length,
  });
};
frame.srcdoc = %(page)s;
</script>
"""


def browse(page: Path, folder: Path) -> tuple[str, str]:
    """The page's DOM after its scripts ran, and what the console said."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return ran.stdout, "\n".join(line for line in ran.stderr.splitlines() if "CONSOLE" in line)


def found(dom: str) -> dict:
    """What a script left as JSON in <pre id=found>."""
    return json.loads(html.unescape(re.search(r'<pre id="found"[^>]*>(.*?)</pre>', dom, re.DOTALL)[1]))


def measure(page: Path, width: int, folder: Path) -> dict:
    """The page in a frame of `width` pixels, measured from outside."""
    text = json.dumps(page.read_text()).replace("</", "<\\/")
    frame = folder / "frame.html"
    frame.write_text("<!doctype html><meta charset='utf-8'>" + MEASURE % {"width": width, "page": text})
    dom, console = browse(frame, folder)
    assert not console
    return found(dom)


@pytest.mark.parametrize(
    "settings",
    [{"dp": ("cnn3_dp",)}, {"variants": 12, "every": 10}, {"epochs": 2, "variants": 1}, {"refused": True}],
    ids=["private", "twelve", "single", "refused"],
)
def test_page_fits_and_asks_for_nothing(study, settings, tmp_path):
    study(**settings)
    main([])
    for width in (1280, 390):
        seen = measure(tmp_path / "plots/report.html", width, tmp_path)
        assert seen["wide"] == []
        assert seen["scroll"] <= seen["inner"]
        assert seen["requests"] == []
        assert seen["unnamed"] == seen["broken"] == seen["captions"] == 0
        assert seen["figures"] >= 8


@pytest.mark.npm
def test_axe_finds_no_serious_violation(study, tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, for axe-core")
    install = [
        npm,
        "install",
        "--silent",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(tmp_path),
        "axe-core@4",
    ]
    if subprocess.run(install, capture_output=True, check=False, timeout=120).returncode:
        pytest.skip("npm could not install axe-core")
    axe = (tmp_path / "node_modules/axe-core/axe.min.js").read_text().replace("</script", "<\\/script")
    study(dp=("cnn3_dp",), refused=True)
    main([])
    asked = (
        "axe.run().then(r => document.getElementById('found').textContent = JSON.stringify(r.violations.map("
    )
    asked += (
        "v => ({id: v.id, impact: v.impact, where: v.nodes.slice(0, 3).map(n => n.html.slice(0, 90))}))))"
    )
    page = tmp_path / "axe.html"
    body = (tmp_path / "plots/report.html").read_text().replace("<details>", "<details open>")
    page.write_text(
        body.replace(
            "</main>",
            f'<pre id="found" tabindex="0"></pre></main><script>{axe}</script><script>{asked}</script>',
            1,
        )
    )
    violations = found(browse(page, tmp_path)[0])
    assert [v for v in violations if v["impact"] in ("serious", "critical")] == []
