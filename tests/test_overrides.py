"""What `dvc exp run -S` sets is written into conf/, so that conf/ and params.yaml never differ."""

import shutil

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf
from sandbox import ROOT, Sandbox

from privacy_report import composition
from privacy_report.composition import composed, write_overrides
from privacy_report.errors import UserError

SMALL = """# @package _global_
defaults:
  - override /dataset: digits
variants: {cnn2: {epochs: 20, epochs_per_report: 4}}
"""
LEAF = "variants.cnn2.learning_rate=0.5"


@pytest.fixture
def conf(tmp_path):
    """A copy of conf/."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    return tmp_path / "conf"


def experiment(conf, *overrides):
    """The text of params.yaml as `dvc exp run -S ...` composes it: Hydra, resolved, as YAML."""
    with initialize_config_dir(str(conf), version_base=None):
        config = hydra_compose("config", overrides=list(overrides))
    OmegaConf.resolve(config)
    return OmegaConf.to_yaml(config)


def written(conf):
    return yaml.safe_load((conf / "overrides.yaml").read_text())


def comments(conf):
    return [line for line in (conf / "overrides.yaml").read_text().splitlines() if line.startswith("#")]


@pytest.mark.parametrize(
    ("overrides", "values", "line"),
    [
        (
            [LEAF],
            {"variants": {"cnn2": {"learning_rate": 0.5}}},
            "variants.cnn2.learning_rate: 0.001 -> 0.5",
        ),
        (
            ["variants.cnn3_dp.privacy=null"],
            {"variants": {"cnn3_dp": {"privacy": None}}},
            "variants.cnn3_dp.privacy: {'l2_norm_clip': 1.0, 'target_epsilon': 8.0, 'delta': 1e-05, "
            "'seed': 'committed'} -> None",
        ),
        (
            ["attack.attacks=[threshold]", "gate.max_epsilon=8"],
            {"attack": {"attacks": ["threshold"]}, "gate": {"max_epsilon": 8}},
            "gate.max_epsilon: None -> 8",
        ),
        (
            ["+attack.estimators.bayes.path=sklearn.naive_bayes.GaussianNB"],
            {"attack": {"estimators": {"bayes": {"path": "sklearn.naive_bayes.GaussianNB"}}}},
            "attack.estimators.bayes: '(absent)' -> {'path': 'sklearn.naive_bayes.GaussianNB'}",
        ),
        (
            ["dataset=digits"],  # another file of a group: the values that differ
            {
                "dataset": {
                    "name": "digits",
                    "member_split": "all",
                    "nonmember_split": "all",
                    "member_fraction": 0.5,
                }
            },
            "dataset.name: 'cifar10' -> 'digits'",
        ),
    ],
)
def test_what_was_set_is_written_and_nothing_else(conf, overrides, values, line):
    before = comments(conf)
    text = experiment(conf, *overrides)
    lines = write_overrides(conf, yaml.safe_load(text))
    assert line in lines
    assert written(conf) == values
    assert comments(conf) == before
    assert before[0] == "# @package _global_"  # without it the values would land under `overrides`
    assert composed(conf) == text  # the bytes, so that the next `dvc repro` changes nothing


def test_a_named_experiment_is_written_value_by_value(conf):
    (conf / "experiment/small.yaml").write_text(SMALL)
    text = experiment(conf, "experiment=small")
    write_overrides(conf, yaml.safe_load(text))
    assert composed(conf) == text
    assert written(conf)["variants"]["cnn2"] == {"epochs": 20, "epochs_per_report": 4}


def test_nothing_set_writes_nothing(conf):
    path = conf / "overrides.yaml"
    path.write_text(path.read_text() + "\n")  # a file that is written anew would lose this line
    before = path.read_bytes()
    assert write_overrides(conf, yaml.safe_load(composed(conf))) == []
    assert path.read_bytes() == before


def test_a_second_experiment_lies_on_top_of_the_first(conf):
    before = comments(conf)
    write_overrides(conf, yaml.safe_load(experiment(conf, LEAF)))
    text = experiment(conf, "variants.cnn2.epochs=60", "variants.cnn3.seed=3")
    assert yaml.safe_load(text)["variants"]["cnn2"]["learning_rate"] == 0.5
    lines = write_overrides(conf, yaml.safe_load(text))
    assert lines == ["variants.cnn2.epochs: 50 -> 60", "variants.cnn3.seed: 0 -> 3"]
    assert written(conf) == {"variants": {"cnn2": {"learning_rate": 0.5, "epochs": 60}, "cnn3": {"seed": 3}}}
    assert composed(conf) == text
    text = experiment(conf, "variants.cnn2.learning_rate=0.001", "variants.cnn2.epochs=70")
    write_overrides(conf, yaml.safe_load(text))  # one value taken back, one changed again
    assert composed(conf) == text
    assert comments(conf) == before


def test_overrides_win_over_a_named_experiment(conf):
    (conf / "experiment/small.yaml").write_text(SMALL)
    path = conf / "config.yaml"
    path.write_text(path.read_text().replace("experiment: null", "experiment: small"))
    text = experiment(conf, "variants.cnn2.epochs=8")
    write_overrides(conf, yaml.safe_load(text))
    assert composed(conf) == text
    assert yaml.safe_load(text)["variants"]["cnn2"]["epochs"] == 8


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["variant=[cnn2,cnn3,cnn3_augment,residual]"], "variants.cnn3_dp"),
        (["dataset=digits", "~attack.estimators.knn"], "attack.estimators.knn"),
    ],
)
def test_a_key_that_is_gone_cannot_be_said_and_conf_stays_as_it_was(conf, overrides, key):
    before = (conf / "overrides.yaml").read_bytes()
    params = yaml.safe_load(experiment(conf, *overrides))
    with pytest.raises(UserError) as caught:
        write_overrides(conf, params)
    message = str(caught.value)
    assert message.startswith(f"{conf / 'overrides.yaml'}: cannot say {key}: ")
    assert message.endswith("-> '(absent)'; edit conf/ instead of setting it with -S")
    assert "\n" not in message
    assert (conf / "overrides.yaml").read_bytes() == before


def test_what_stops_it_leaves_conf_as_it_was(conf, monkeypatch):
    before = (conf / "overrides.yaml").read_bytes()
    params = yaml.safe_load(experiment(conf, "gate.max_epsilon=8"))
    first = composed(conf)

    def stopped(conf):
        monkeypatch.setattr(composition, "composed", interrupted)
        return first

    def interrupted(conf):
        raise KeyboardInterrupt

    monkeypatch.setattr(composition, "composed", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_overrides(conf, params)
    assert (conf / "overrides.yaml").read_bytes() == before


def test_a_number_that_was_written_by_hand_stays_one(conf):
    path = conf / "overrides.yaml"
    path.write_text("\n".join([*comments(conf), "variants: {cnn2: {learning_rate: 1e-5}}"]))
    write_overrides(conf, yaml.safe_load(experiment(conf, "gate.max_epsilon=8")))
    assert yaml.safe_load(composed(conf))["variants"]["cnn2"]["learning_rate"] == 1e-5
    assert written(conf)["variants"]["cnn2"]["learning_rate"] == 1e-5


@pytest.mark.parametrize("section", ["gate", "reference"])
def test_the_name_of_no_variant_is_refused_and_conf_stays_as_it_was(conf, section):
    before = (conf / "overrides.yaml").read_bytes()
    value = {"gate": "{max_advantage: 0.5}", "reference": "8"}[section]
    params = yaml.safe_load(experiment(conf, f"+{section}.per_variant.nobody={value.replace(': ', ':')}"))
    assert "nobody" in params[section]["per_variant"]
    with pytest.raises(UserError, match=rf"{section}\.per_variant: got 'nobody', allowed: "):
        write_overrides(conf, params)
    assert (conf / "overrides.yaml").read_bytes() == before
    composed(conf)  # the next `dvc repro` does not meet it


def test_the_graph_has_the_variants_of_the_parameters():
    """dvc.yaml reads their names from conf/config.yaml, by the place of a line in it."""
    variants = list(yaml.safe_load((ROOT / "params.yaml").read_text())["variants"])
    stages = Sandbox(ROOT).dvc("stage", "list", "--name-only").stdout.split()
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    expected = []
    for name, stage in graph.items():
        expected += [f"{name}@{variant}" for variant in variants] if "matrix" in stage else [name]
    assert sorted(stages) == sorted(expected)
    assert {name for name, stage in graph.items() if "matrix" not in stage} == {
        "compose",
        "fit",
        "prepare",
        "report",
    }
