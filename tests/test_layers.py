"""Edits of conf/ that another file wins over are said; names of nothing are refused, each in one line."""

import shutil

import pytest
import yaml
from sandbox import ROOT

from privacy_report.composition import changes, composed
from privacy_report.errors import UserError
from privacy_report.layers import shadowed
from stages import compose

CONFIG = (ROOT / "conf/config.yaml").read_text()
LIST = next(line.strip(" -") for line in CONFIG.splitlines() if "- variant: [" in line)
EXPERIMENT = """# @package _global_
defaults:
  - override /dataset: digits
variants: {cnn2: {epochs: 20}}
gate: {max_advantage: 0.25}
"""


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A copy of conf/, whose parent is the working folder."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    return tmp_path / "conf"


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def run_experiment(conf, text=EXPERIMENT):
    (conf / "experiment").mkdir(exist_ok=True)
    (conf / "experiment/mine.yaml").write_text(text)
    edit(conf / "config.yaml", "experiment: null", "experiment: mine")


def override(conf, text):
    edit(conf / "overrides.yaml", "{}\n", text)


def refused():
    with pytest.raises(UserError) as error:
        compose.main([])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_shipped_files_say_nothing_twice(conf):
    assert shadowed("conf") == []


def test_a_limit_that_a_committed_experiment_set_wins_and_says_so(conf, capsys):
    override(conf, "gate: {max_advantage: 0.2}\n")
    edit(conf / "gate/default.yaml", "max_advantage: 0.10 ", "max_advantage: 0.05 ")
    compose.main([])
    line = "conf/overrides.yaml wins: gate.max_advantage 0.2 (conf/gate/default.yaml says 0.05)"
    assert [said for said in capsys.readouterr().out.splitlines() if "wins" in said] == [line]
    assert yaml.safe_load((conf.parent / "params.yaml").read_text())["gate"]["max_advantage"] == 0.2


def test_each_value_is_one_line_with_the_last_winner(conf):
    run_experiment(conf)
    override(conf, "gate: {max_advantage: 0.3}\nvariants: {cnn3_dp: {privacy: null}, cnn3: {epochs: 50}}\n")
    edit(conf / "config.yaml", "device: cpu}", "device: cpu}\nreport: {dpi: 90}")
    assert sorted(shadowed("conf")) == sorted(
        [
            "conf/experiment/mine.yaml wins: dataset digits (conf/config.yaml says cifar10)",
            "conf/experiment/mine.yaml wins: variants.cnn2.epochs 20 (conf/variant/cnn2.yaml says 50)",
            "conf/config.yaml wins: report.dpi 90 (conf/report/default.yaml says 150)",
            "conf/overrides.yaml wins: gate.max_advantage 0.3 (conf/experiment/mine.yaml says 0.25)",
            "conf/overrides.yaml wins: gate.max_advantage 0.3 (conf/gate/default.yaml says 0.1)",
            "conf/overrides.yaml wins: variants.cnn3_dp.privacy null (conf/variant/cnn3_dp.yaml says "
            '{"l2_norm_clip": 1.0, "target_epsilon": 8.0, "delta": 1e-05, "seed": "committed"})',
        ]
    )


def test_what_a_line_says_is_what_is_composed(conf):
    """Taking back what lost changes nothing; taking back what won makes the other one count."""
    run_experiment(conf)
    before = composed("conf")
    edit(conf / "variant/cnn2.yaml", "epochs: 50", "epochs: 3")
    assert [line for line in shadowed("conf") if "says 3" in line] == [
        "conf/experiment/mine.yaml wins: variants.cnn2.epochs 20 (conf/variant/cnn2.yaml says 3)"
    ]
    after = yaml.safe_load(composed("conf"))
    assert after["variants"]["cnn2"] == yaml.safe_load(before)["variants"]["cnn2"]
    assert after["variants"]["cnn3"]["epochs"] == 3  # it inherits, and nothing wins over that
    edit(conf / "config.yaml", "experiment: mine", "experiment: null")
    assert yaml.safe_load(composed("conf"))["variants"]["cnn2"]["epochs"] == 3
    assert shadowed("conf") == []


def test_the_lines_come_before_an_error_that_they_explain(conf, capsys):
    override(conf, "dataset: {name: digits, member_split: all, nonmember_split: all, member_fraction: 0.5}\n")
    edit(conf / "config.yaml", "dataset: cifar10", "dataset: folder")
    assert refused() == "dataset.path: got 'own_data/images', allowed: null for digits"
    assert "wins: dataset.name digits (conf/dataset/folder.yaml says folder)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (LIST, "variant: cnn2", "variant: got 'cnn2', allowed: a list of at least one name, such as [cnn2]"),
        (LIST, "variant: []", "variant: got [], allowed: a list of at least one name, such as [cnn2]"),
        (LIST, "variant:", "variant: got None, allowed: a list of at least one name, such as [cnn2]"),
        (LIST, "variant: {cnn2: 1}", "variant: got {'cnn2': 1}, allowed: a list of at least one name"),
        (LIST, "variant: [cnn2, cnn2]", "variant: got 'cnn2', allowed: each name once"),
        (LIST, "variant: [cnn2, ../a]", "variant: got '../a', allowed: letters, digits, _ and -"),
        (
            LIST,
            "variant: [cnn2, cnn4]",
            "variant: got 'cnn4', allowed: the files of conf/variant: cnn2, cnn2_1, cnn2_2, cnn2_canary, ",
        ),
        (
            f"  - dataset: cifar10\n  - {LIST}\n",
            f"  - {LIST}\n  - dataset: cifar10\n",
            "defaults: got {'dataset': 'cifar10'}, allowed: the list `variant` as the second entry",
        ),
        (LIST, "attack: full", "defaults: got {'attack': 'full'}, allowed: the list `variant` as the second"),
        ("defaults:\n", "defaults_:\n", "defaults: got None, allowed: a list"),
    ],
)
def test_a_list_of_variants_that_cannot_be_read_is_one_line(old, new, said, conf):
    edit(conf / "config.yaml", old, new)
    assert refused().startswith(f"conf/config.yaml: {said}")


@pytest.mark.parametrize(
    ("first", "goes_to"), [("# @package variants.cnn2\n", "variants.cnn2"), ("# Wide\n", "variant")]
)
def test_a_copied_file_may_not_overwrite_the_other_variant(first, goes_to, conf):
    (conf / "variant/wide.yaml").write_text(first + "label: Wide\n")
    compose.main([])  # it is not chosen, so it does no harm
    edit(conf / "config.yaml", "[cnn2, cnn3,", "[cnn2, wide, cnn3,")
    said = f"conf/variant/wide.yaml: @package: got '{goes_to}', allowed: variants.wide, as in its first line"
    assert refused() == said


def test_variants_that_do_not_exist_are_named_with_the_file_that_names_them(conf):
    run_experiment(conf, EXPERIMENT.replace("cnn2:", "cnn9:"))
    names = ", ".join(sorted(yaml.safe_load(LIST)["variant"]))
    lists = f"allowed: the variants that conf/config.yaml lists: {names}"
    assert refused() == f"conf/experiment/mine.yaml: variants: got 'cnn9', {lists}"
    edit(conf / "config.yaml", "experiment: mine", "experiment: null")
    override(conf, "variants: {cnn3_decay: {epochs: 5}}\n")  # it has a file, and is not chosen
    assert refused() == f"conf/overrides.yaml: variants: got 'cnn3_decay', {lists}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "variant/cnn3.yaml",
            b"# @package variants.cnn3\nremedy_of: [cnn3]\n",
            "remedy_of: got ['cnn3'], allowed",
        ),
        ("variant/cnn3.yaml", "# @package variants.cnn3\n# für\n".encode("latin-1"), "can't decode"),
        ("overrides.yaml", b"[1, 2]\n", "overrides"),
        ("overrides.yaml", b"5\n", "conf: Invalid loaded object type: int"),
    ],
)
def test_a_file_of_another_form_is_one_line(name, content, said, conf):
    (conf / name).write_bytes(content)
    assert said in refused()


@pytest.mark.parametrize("name", ["epochs", "variant"])
def test_a_section_that_does_not_exist_is_named_with_the_file_that_names_it(name, conf):
    override(conf, f"{name}: 5\n")
    sections = "attack, backend, dataset, gate, reference, report, variants"
    assert refused() == f"conf/overrides.yaml: section: got '{name}', allowed: {sections}"


@pytest.mark.parametrize(
    ("group", "values"), [("reference", "{cnn9: 4}"), ("gate", "{cnn9: {max_epsilon: 8}}")]
)
def test_per_variant_names_variants_that_have_a_file(group, values, conf):
    path = conf / group / "default.yaml"
    kept = path.read_text()
    lines = kept.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("per_variant:"))
    path.write_text("\n".join([*lines[:at], f"per_variant: {values}", *lines[at + 1 :], ""]))
    said = f"conf/{group}/default.yaml: {group}.per_variant: got 'cnn9', allowed: the files of conf/variant: "
    assert refused().startswith(said)
    path.write_text(kept)
    edit(conf / "config.yaml", ", scatter_dp_gradient]", "]")  # named in per_variant, and not chosen
    compose.main([])


def test_a_variant_that_is_new_or_gone_is_one_line():
    before = {"seed": 1, "variants": {"a": {"label": "A", "epochs": 3}, "b": {"label": "B"}}}
    after = {"seed": 2, "variants": {"a": {"label": "A", "epochs": 4}, "c": {"label": "C", "epochs": 9}}}
    assert changes(before, after) == [
        "variants.c: new, conf/variant/c.yaml",
        "variants.b: gone",
        "seed: 1 -> 2",
        "variants.a.epochs: 3 -> 4",
    ]
    assert changes({"variants": None}, after) != []
