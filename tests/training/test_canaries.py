"""Targets with canaries: who is in a batch, what the coins change, and what the accountant counts."""

from dataclasses import replace

import numpy as np
import pytest
from small import make_trainer, small_cnn

from benchmarks import broken_trainer
from privacy_report.datasets import digits, preparation, prepared
from privacy_report.datasets.canaries import World, files_digest, path_of, read, world
from privacy_report.datasets.canary_draw import drawn, write
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.datasets.splits import Membership
from privacy_report.training import scoring
from privacy_report.training.absent import WithoutAbsent
from privacy_report.training.data import of_references, of_variant
from privacy_report.training.job import Source
from privacy_report.training.ordinary import Ordinary
from privacy_report.training.private import Private
from privacy_report.training.schema import Privacy, Variant
from stages import reference

N, M = 300, 60


def variant(**changes):
    model = small_cnn(filters=4, dense_units=8)
    return Variant(**({"label": "V", "model": model, "epochs": 2} | changes))


def private():
    return Privacy(noise_multiplier=1.0)


def weights(arrays):
    return [value for key, value in arrays.items() if key.startswith(("weights/", "optimizer/"))]


REGIMES = {"ordinary": (Ordinary, None), "private": (Private, private())}


def coins(seed, p=0.5):
    """Which of N members are absent: canaries in the first M places, by coin."""
    absent = np.zeros(N, bool)
    absent[:M] = np.random.default_rng(seed).random(M) < p
    return absent


def regime(kind, absent, batch_size=10):
    made, privacy = REGIMES[kind]
    whole = made("v", variant(batch_size=batch_size, privacy=privacy), N)
    return whole, WithoutAbsent(whole, absent, keeps_empty=privacy is not None)


def rows(batches):
    return [row[:size].tolist() for row, size in zip(batches.rows, batches.sizes, strict=True)]


@pytest.mark.parametrize("kind", REGIMES)
def test_batches_of_all_others_do_not_depend_on_the_coins(kind):
    """The same batches in the same order, less whoever is out."""
    for seed in range(3):
        absent = coins(seed)
        whole, without = regime(kind, absent)
        for epoch in (1, 2):
            expected = [[i for i in row if not absent[i]] for row in rows(whole.batches(epoch))]
            assert rows(without.batches(epoch)) == expected
            assert without.batches(epoch).rows.dtype == np.int32
            assert without.batches(epoch).sizes.dtype == np.int32
            assert (without.batches(epoch).seeds == whole.batches(epoch).seeds).all()


@pytest.mark.parametrize("kind", REGIMES)
def test_whoever_is_in_is_drawn_and_whoever_is_out_never(kind):
    absent = coins(0)
    _, without = regime(kind, absent)
    seen = {i for epoch in range(1, 60) for row in rows(without.batches(epoch)) for i in row}
    assert seen == set(np.flatnonzero(~absent).tolist())


def test_poisson_rate_of_those_who_are_in_is_the_nominal_one():
    absent = coins(1)
    _, without = regime("private", absent)
    sizes = np.concatenate([without.batches(epoch).sizes for epoch in range(1, 41)])
    expected = 10 / N * (~absent).sum()
    assert sizes.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(sizes)))
    assert len(without.batches(1).sizes) == N // 10


def test_a_step_without_anybody_is_none_unless_it_adds_noise():
    """A batch of one canary that is out: no mean gradient, and still a private step."""
    for kind in REGIMES:
        whole, without = regime(kind, coins(0, p=1.0), batch_size=1)
        steps = len(without.batches(1).sizes)
        empty = sum(not row for row in rows(without.batches(1)))
        assert (steps, empty) == ((N - M, 0) if kind == "ordinary" else (len(whole.batches(1).sizes), empty))
        assert kind == "ordinary" or empty > 0


def test_epsilon_does_not_depend_on_the_coins():
    budgets = {regime("private", coins(seed))[1].spent(2) for seed in range(3)}
    assert budgets == {regime("private", coins(0))[0].spent(2)}


@pytest.fixture(scope="module")
def found() -> World:
    """120 digits, 40 of them canaries."""
    whole = digits.load()
    rows, about = np.arange(120, dtype=np.int32), {"n_classes": 10}
    examples = Prepared(whole.images[:120], whole.labels[:120], rows[:100], rows[100:], about)
    return world(examples, drawn(examples, CanaryParams(40)))


def test_a_target_learns_from_those_who_are_in_alone(found):
    """Whatever the images and labels of absent canaries are, the weights are the same; others change them."""
    config = variant(batch_size=20)

    def trained(rows):
        labels = np.array(found.everyone.labels)
        labels[rows] = (labels[rows] + 1) % 10
        data = of_variant(replace(found.everyone, labels=labels))
        return weights(make_trainer("v", config, data, found.absent).run(1))

    out, inside = found.canary[~found.is_member], found.canary[found.is_member]
    expected = trained(out[:0])
    for a, b in zip(expected, trained(out), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(expected, trained(inside[:5]), strict=True))


def test_without_canaries_a_target_is_the_trainer_of_any_model(found):
    nobody = World(found.everyone, found.canary[:0], found.is_member[:0])
    data = of_variant(found.everyone)
    runs = [make_trainer("v", variant(), data, absent).run(1) for absent in (nobody.absent, None)]
    for a, b in zip(*map(weights, runs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_all_audits_catch_a_trainer_that_forgot_its_noise():
    """One seed, fewer epochs; benchmarks/broken_trainer.json has all faults, and the sound trainer."""
    audit = broken_trainer.audited(0, "no noise", replace(broken_trainer.CONFIG, epochs=40))
    assert audit["claimed"] <= 1.0
    assert audit["self-check"]["epoch"] == 1
    for kind, canaries in (("black box", 1_000), ("gradient canaries", 5_000)):
        assert audit[kind]["epsilon_one_run"] > audit["claimed"]
        assert audit[kind]["canaries"] == canaries


def test_columns_of_references_are_the_rows_of_the_score_files(tmp_path):
    """What a reference says of a row stands where the target's outputs on that row do."""
    examples = digits.load()
    rows = np.arange(1797, dtype=np.int32)
    preparation.write(tmp_path, "digits", examples, Membership(rows[:900], rows[900:]))
    path = path_of("v", tmp_path)
    write(path, drawn(prepared.read(tmp_path), CanaryParams(300)))
    source = Source(str(tmp_path), str(path), files_digest(path, tmp_path))
    data = of_references(source.read().for_references)
    trainer = make_trainer("v", variant(), data)
    checkpoint, sizes = trainer.run(1), {"": 1497, "canaries": 300}
    for name, columns in reference._parts(1797, read(path)).items():
        said = trainer.predict(data.images, data.train[columns])
        scored = scoring.score(variant().model, source, bool(name), checkpoint, "epoch 1")
        assert len(said) == sizes.pop(name)
        for kind, expected in (("logits", said), ("labels", data.labels[data.train[columns]])):
            outputs = np.concatenate([scored[f"{side}_{kind}"] for side in ("member", "nonmember")])
            np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert not sizes
    assert (data.labels[read(path).index] == read(path).labels).all()
