"""Benchmarks train from many seeds with one trainer: each run has the bits of a trainer of its own."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import broken_trainer
from benchmarks.many_seeds import NAME, ManySeeds
from privacy_report.training.data import of_variant
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.target import trainer_of

CONFIG = replace(broken_trainer.CONFIG, epochs=2)


def alone(seed):
    """The state after the last epoch of a trainer that was made for this seed."""
    world = broken_trainer.examples(seed)
    config = replace(CONFIG, seed=seed, canaries=replace(CONFIG.canaries, seed=seed))
    trainer = trainer_of(job_of(NAME, config, NOWHERE), of_variant(world.everyone), world.absent)
    return [trainer.run(epoch) for epoch in (1, 2)][-1]


@pytest.mark.slow
def test_a_run_has_the_bits_of_a_trainer_of_its_own():
    """After another seed has been trained, and before that again; canaries of both kinds included."""
    runs = ManySeeds(CONFIG, broken_trainer.examples(0))
    states = {seed: runs.run(seed, broken_trainer.examples(seed)) for seed in (0, 1)}
    for seed, state in states.items():
        expected = alone(seed)
        assert expected.keys() == state.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(state[name], value, err_msg=f"{seed}, {name}")
    assert any(
        (states[0][name] != states[1][name]).any() for name in states[0] if name.startswith("weights/")
    )
