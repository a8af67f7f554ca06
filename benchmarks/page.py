"""The page in headless Chromium: its size, when it can be used, and how soon a moved slider is shown.

`python -m benchmarks.page plots/report.html`
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chromium import Browser

ROUNDS = 5
MOVES = """(async () => { const took = [];
for (const [name, values] of [["epoch", epochs()], ["fpr", all.rates]])
  for (const value of values) {
    const from = performance.now();
    await change({[name]: value}, name === "fpr" ? OF_RATE : Object.keys(DATA));
    await new Promise(requestAnimationFrame);
    took.push([name, performance.now() - from]);
  }
return took; })()"""


def main(argv: Sequence[str] | None = None) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("page", type=Path)
    page = parser.parse_args(argv).page
    print(f"{page.stat().st_size / 1e6:.2f} MB")
    with Browser() as browser:
        browser.look()
        ready = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            browser.open(page)
            ready.append(time.perf_counter() - start)
        print(f"ready after {statistics.median(ready):.2f} s, from {min(ready):.2f} to {max(ready):.2f}")
        moves = browser.run(MOVES)
    for name in ("epoch", "fpr"):
        took = sorted(ms for which, ms in moves if which == name)
        print(f"{name}: {statistics.median(took):.0f} ms, at most {took[-1]:.0f} ms, {len(took)} moves")


if __name__ == "__main__":
    main()
