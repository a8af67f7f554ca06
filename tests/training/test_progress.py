"""What is said while models are trained, and which of them comes first."""

import io
import math
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from privacy_report.training import progress
from privacy_report.training.progress import Pace, Progress


@dataclass
class Chain:
    """A model as the progress sees it."""

    name: str
    kind: str = "a"
    size: int = 100
    last: int = 10
    at: int = 0
    said: dict[str, float] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return self.last - self.at


def test_the_longest_way_comes_first_and_before_it_what_nothing_is_known_of():
    fast, slow, long, unknown = Chain("fast"), Chain("slow", "b"), Chain("long", last=50), Chain("new", "c")
    pace = Pace()
    pace.note(fast, 1, 9.0)
    pace.note(fast, 2, 2.0)  # the first epoch builds a graph
    pace.note(slow, 1, 8.0)
    ranked = sorted([fast, slow, long, unknown], key=pace.rank, reverse=True)
    assert [chain.name for chain in ranked] == ["new", "slow", "long", "fast"]
    assert [pace.epoch(chain) for chain in (fast, slow, long)] == [1.0, 8.0, 1.0]
    assert pace.epoch(unknown) == 4.5  # the mean of those that are known


def test_the_time_left_is_the_longest_model_or_the_share_of_a_worker():
    pace, chains = Pace(), [Chain("one"), Chain("two"), Chain("three", last=4)]
    assert math.isnan(pace.left(chains, 2))
    pace.note(chains[0], 1, 1.0)
    assert pace.left(chains, 2) == 12.0
    assert pace.left(chains, 100) == 10.0
    assert pace.left(chains, 0) == 24.0


def test_a_line_each_ten_seconds_names_the_models_in_work(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    chains = [Chain(f"cnn{i}", said={"loss": 0.5, "validation accuracy": math.nan}) for i in range(6)]
    with Progress("fit", chains) as shown:
        shown.pace.note(chains[0], 1, 60.0)
        for second in range(1, 31):
            now[0] = float(second)
            chains[0].at = min(second, 10)
            shown.show(chains, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "fit: models to train: 6, epochs: 60"
    assert lines[1] == (
        "fit: 9 of 60 epochs, 26 min left; cnn0 9/10, loss 0.500; cnn1 0/10, loss 0.500; "
        "cnn2 0/10, loss 0.500; cnn3 0/10, loss 0.500; and 2 more"
    )
    assert len(lines) == 5
    assert lines[-1] == "fit: 10 of 60 epochs in 30 s"


@pytest.mark.parametrize("ends", [True, False])
def test_on_a_terminal_one_table_that_goes_again(ends, monkeypatch, capsys):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=20, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda stderr: console)
    chain = Chain("cnn2", said={"loss": 1.25, "validation accuracy": 0.5})
    try:
        with Progress("fit", [chain]) as shown:
            chain.at = 3
            shown.pace.note(chain, 3, 6.0)
            shown.show([chain], 1)
            shown._live.refresh()
            if not ends:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert not ends
    text = screen.getvalue()
    for phrase in ("fit: 3 of 10 epochs, 14 s left", "cnn2", "3 of 10", "1.250", "0.500", "2.0"):
        assert phrase in text
    assert text.rindex("\x1b[?25h") > text.rindex("cnn2")  # the cursor is shown again
    said = capsys.readouterr().err.splitlines()
    assert said == ["fit: models to train: 1, epochs: 10", *(["fit: 3 of 10 epochs in 0 s"] if ends else [])]
