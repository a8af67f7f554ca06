"""The written page as a browser shows it: no request, no error, no sideways scrolling, and on paper."""

from __future__ import annotations

import pytest

from benchmarks.chromium import CHROMIUM, Browser
from stages.report import main

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)"),
]

MEASURE = """(() => {
  const all = [...document.querySelectorAll("body *")], width = document.documentElement.clientWidth;
  const seen = all.filter(e => e.checkVisibility());
  const inside = e => e.closest(".scroll, pre, svg, .unseen");
  const named = e => e.tagName == "IMG" ? e.alt : e.tagName != "svg" || e.closest("[aria-label]");
  const size = e => parseFloat(getComputedStyle(e).fontSize);
  const worded = e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim());
  const texts = seen.filter(e => !e.closest("svg") && worded(e));
  const right = e => e.getBoundingClientRect().right, target = e => document.getElementById(e.hash.slice(1));
  const prose = texts.filter(e => !e.closest("h1, h2, h3, .lead, pre, code"));
  return {
    scroll: document.documentElement.scrollWidth - width,
    wide: seen.filter(e => !inside(e) && right(e) > width + 1).map(e => e.outerHTML.slice(0, 90)),
    unnamed: all.filter(e => !named(e)).length,
    broken: all.filter(e => e.tagName == "IMG" && !e.naturalWidth).length,
    views: seen.filter(e => e.matches(".chart")).length,
    smallest: Math.min(...texts.map(size), ...[...document.querySelectorAll(".chart text")].map(size)),
    sizes: [...new Set(prose.map(size))].sort(),
    deadLinks: all.filter(e => e.tagName == "A" && !target(e)).length,
    empty: seen.filter(e => e.matches("section") && !e.innerText.trim().includes("\\n")).length,
    folded: (dispatchEvent(new Event("beforeprint")),
      all.filter(e => e.matches("details:not([open])")).length),
  };
})()"""


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.mark.parametrize(
    "settings",
    [{"dp": ("cnn3_dp",)}, {"variants": 12, "every": 10}, {"epochs": 2, "variants": 1}, {"refused": True}],
    ids=["private", "twelve", "single", "refused"],
)
def test_page_fits_and_asks_for_nothing(study, settings, tmp_path, chromium):
    root = study(**settings)
    params = (root / "params.yaml").read_text()  # with the picture of remedies, where there are two variants
    remedy = "  cnn3:\n    label: 3 Layers\n"
    (root / "params.yaml").write_text(params.replace(remedy, f"{remedy}    remedy_of: cnn2\n"))
    main([])
    chromium.console.clear()
    for width in (1280, 390):
        chromium.look(width)
        chromium.open(tmp_path / "plots/report.html")
        seen = chromium.run(MEASURE)
        assert seen["wide"] == []
        assert seen["scroll"] <= 0
        assert seen["unnamed"] == seen["broken"] == seen["deadLinks"] == seen["empty"] == 0
        assert seen["views"] >= 5
        assert seen["smallest"] >= 10  # pixels, of the words in a view; its axes have 12
        assert len(seen["sizes"]) <= 2
        assert seen["folded"] == 0  # when it is printed
        assert len(chromium.requests) == 1  # the page itself
    assert chromium.console == []


LINES = """[...document.querySelectorAll(".variants > tbody")].filter(e => e.checkVisibility()).map(card => {
  const words = document.createTreeWalker(card.rows[0], NodeFilter.SHOW_TEXT), middles = [];
  const range = document.createRange();
  while (words.nextNode()) if (words.currentNode.data.trim()) {
    range.selectNodeContents(words.currentNode);
    for (const box of range.getClientRects()) middles.push(box.top + box.height / 2);
  }
  return middles.sort((a, b) => a - b).filter((y, i) => !i || y - middles[i - 1] > 9).length;
})"""


def test_a_variant_is_a_card_of_at_most_four_lines_on_a_phone(study, tmp_path, chromium):
    study(dp=("cnn3_dp",))
    main([])
    chromium.look(390)
    chromium.open(tmp_path / "plots/report.html")
    lines = chromium.run(LINES)
    assert len(lines) >= 3
    assert min(lines) >= 3
    assert max(lines) <= 4


def test_a_long_name_in_the_provenance_widens_no_phone(study, tmp_path, chromium):
    study(variants=1)
    main([])
    chromium.look(390)
    chromium.open(tmp_path / "plots/report.html")
    chromium.run(f"document.querySelector('#origin dd').textContent = '{'x' * 80}'")
    assert chromium.run("document.documentElement.scrollWidth") <= 390


def test_on_paper_there_are_pictures_and_no_controls(study, tmp_path, chromium):
    study(dp=("cnn3_dp",), epochs=10)
    main([])
    chromium.look()
    chromium.open(tmp_path / "plots/report.html")
    chromium.call("Emulation.setEmulatedMedia", media="print")
    seen = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"
    assert chromium.run(seen.format("form, .chart, button:not(th *), select")) == 0
    assert chromium.run(seen.format("figure.still img")) >= 10
    chromium.look(690)  # what A4 leaves between its margins
    chromium.call("Emulation.setEmulatedMedia", media="print")
    rights = "[...document.querySelectorAll('.pill')].map(e => e.getBoundingClientRect().right)"
    assert max(chromium.run(rights)) <= 690
    chromium.call("Emulation.setEmulatedMedia", media="")
    assert chromium.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("dark", [False, True])
def test_words_in_views_follow_the_theme(study, tmp_path, chromium, dark):
    study(epochs=4)
    main([])
    chromium.look(dark=dark)
    chromium.open(tmp_path / "plots/report.html")
    text = chromium.run("getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill")
    red = int(text.removeprefix("rgb(").split(",")[0])
    assert (red > 128) is dark
    chromium.look()


def test_thirty_variants_still_work(chromium, study, tmp_path):
    study(variants=29, dp=("cnn3_dp",), epochs=4, every=2, attacks=("threshold", "rmia"))
    main([])
    chromium.console.clear()
    chromium.look()
    chromium.open(tmp_path / "plots/report.html")
    assert chromium.run("new Set(charts.by_epoch.data('points').map(p => p.variant)).size") == 30
    assert chromium.console == []
