from pathlib import Path

import pytest
import yaml

from privacy_report.attack.epsilon_bound import GIVEN_AWAY
from privacy_report.attack.schema import AttackParams
from privacy_report.audits.attacks import DEFAULTS, audit_params
from privacy_report.errors import UserError
from privacy_report.pipeline.params import check
from privacy_report.training.schema import Privacy

CONF = Path(__file__).parents[2] / "conf" / "attack"


def read(name):
    """A file of conf/attack with what it inherits from default.yaml."""
    value = yaml.safe_load((CONF / name).read_text())
    value.pop("defaults", None)
    return yaml.safe_load((CONF / "default.yaml").read_text()) | value


@pytest.mark.parametrize("name", sorted(path.name for path in CONF.glob("*.yaml")))
def test_conf_files_fit_the_schema_and_hold_the_audits_estimators(name):
    config = check("attack", read(name), AttackParams)
    assert config.estimators == audit_params().estimators


def test_full_has_every_named_attack():
    assert check("attack", read("full.yaml"), AttackParams).attacks == [
        "threshold",
        "threshold_confidence",
        "threshold_entropy",
        "threshold_modified_entropy",
        "logistic",
        "mlp",
        "random_forest",
        "knn",
        "gradient_boosting",
    ]


def test_epsilon_is_bounded_at_a_delta_above_0_unless_told_otherwise():
    """At delta 0 a bound says nothing of the claim of a private variant, which has a delta."""
    delta = read("default.yaml")["delta"]
    assert AttackParams().delta == audit_params().delta == delta
    assert 0 < delta <= GIVEN_AWAY / 50_000
    assert Privacy(noise_multiplier=1.0).delta == delta


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"mode": "fast"}, "attack.mode: got 'fast', allowed: default, parity"),
        ({"attacks": ["svm"]}, "attack.attacks: got 'svm', allowed: "),
        ({"attacks": []}, "attack.attacks"),
        ({"attacks": ["threshold", "threshold"]}, "each name once"),
        ({"mode": "parity", "attacks": ["gradient_boosting"]}, "attack.attacks"),
        ({"slices": ["classes"]}, "attack.slices: got 'classes'"),
        ({"slices": ["class"]}, "attack.slices: got ['class'], allowed: entire and any others"),
        ({"slices": ["entire", "group"]}, "attack.groups"),
        ({"folds": 1}, "attack.folds: got 1, allowed: 2 to 20"),
        ({"delta": 1.0}, "attack.delta: got 1.0, allowed: 0 <= delta < 1"),
        ({"seed": -1}, "attack.seed"),
        ({"seed": "x"}, "attack.seed"),
        ({"speed": 1}, "attack.speed: unknown key"),
        ({"estimators": {"mine": {"path": "LogisticRegression"}}}, "path"),
        ({"estimators": {"threshold": {"path": "a.B"}}}, "attack.estimators"),
    ],
)
def test_impossible_values_name_their_key(values, named):
    with pytest.raises(UserError) as caught:
        check("attack", values, AttackParams)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_estimator_of_ones_own_becomes_an_attack():
    mine = {"path": "sklearn.naive_bayes.GaussianNB"}
    config = check("attack", {"attacks": ["mine"], "estimators": {"mine": mine}}, AttackParams)
    assert config.estimators["mine"].settings == {}


def test_the_packages_defaults_are_those_of_conf():
    assert DEFAULTS.read_text() == (CONF / "default.yaml").read_text()
