"""How far the engine's models are, and how long the rest will take: a live table, or a line now and then."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from privacy_report.training.chains import Chain

EVERY = 9.0  # seconds from line to line: with the engine's turn of a second no more than ten
NAMED = 4  # models in a line


class Pace:
    """Seconds that an example takes, by the kind of model: the least so far, since first a graph is built."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, chain: Chain, epochs: int, seconds: float) -> None:
        """That the last `epochs` of a model took so long."""
        taken = seconds / max(epochs * chain.size, 1)
        self._seconds[chain.kind] = min(taken, self._seconds.get(chain.kind, taken))

    def epoch(self, chain: Chain) -> float:
        """Seconds of an epoch; of a kind that has not run, as the mean of those that have; NaN before any."""
        known = self._seconds.values()
        taken = self._seconds.get(chain.kind, sum(known) / len(known) if known else math.nan)
        return taken * chain.size

    def rank(self, chain: Chain) -> tuple[bool, float]:
        """The larger, the longer is the way that a model has to go; what nothing is known of is largest."""
        return chain.kind not in self._seconds, chain.left * chain.size * self._seconds.get(chain.kind, 1.0)

    def left(self, chains: Sequence[Chain], workers: int) -> float:
        """Seconds until all models are done on so many workers; NaN before anything is known."""
        seconds = [chain.left * self.epoch(chain) for chain in chains]
        return max(max(seconds), sum(seconds) / max(workers, 1))


class Progress:
    """What is said while the block runs, on stderr; `show` is to be called each second or so."""

    def __init__(self, label: str, chains: Sequence[Chain]):
        self.label, self.chains, self.pace = label, chains, Pace()
        self.total = sum(chain.left for chain in chains)
        self.started = self.said = time.monotonic()
        console = Console(stderr=True)
        self._live = Live(console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> Progress:
        self._print(f"{self.label}: models to train: {len(self.chains)}, epochs: {self.total}")
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        if kind is None:
            self._print(f"{self._far()} in {_in_words(time.monotonic() - self.started)}")

    def show(self, running: Sequence[Chain], workers: int) -> None:
        """Say how far it is. running: the models that are being trained now."""
        left = self.pace.left(self.chains, workers)
        title = self._far() + ("" if math.isnan(left) else f", {_in_words(left)} left")
        if self._live:
            self._live.update(self._table(title, running))
        elif time.monotonic() - self.said >= EVERY:
            named = [_says(chain) for chain in running[:NAMED]]
            more = [f"and {len(running) - NAMED} more"] if len(running) > NAMED else []
            self._print("; ".join([title, *named, *more]))

    def _far(self) -> str:
        return f"{self.label}: {self.total - sum(chain.left for chain in self.chains)} of {self.total} epochs"

    def _table(self, title: str, running: Sequence[Chain]) -> Table:
        table = Table(title=title, title_justify="left")
        for column in ("model", "epoch", "loss", "validation accuracy", "seconds per epoch"):
            table.add_column(column, justify="left" if column == "model" else "right")
        for chain in running:
            measured = [f"{value:.3f}" if math.isfinite(value) else "" for value in _measured(chain).values()]
            taken = self.pace.epoch(chain)
            rate = "" if math.isnan(taken) else f"{taken:.1f}"
            table.add_row(chain.name, f"{chain.at} of {chain.last}", *measured, rate)
        return table

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self.said = time.monotonic()


def _measured(chain: Chain) -> dict[str, float]:
    return dict.fromkeys(("loss", "validation accuracy"), math.nan) | chain.said


def _says(chain: Chain) -> str:
    """A model in a line: how far it is, and what its last epoch measured."""
    measured = [f"{name} {value:.3f}" for name, value in _measured(chain).items() if math.isfinite(value)]
    return ", ".join([f"{chain.name} {chain.at}/{chain.last}", *measured])


def _in_words(seconds: float) -> str:
    """Seconds below two minutes, then minutes, then hours."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
