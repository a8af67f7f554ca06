"""What the page says of attackers who ask more than once, and of variants that nobody asked more."""

import csv
import json
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from report.conftest import read_page

from privacy_report.pipeline.contract import ONE_QUERY
from privacy_report.pipeline.files import write_arrays
from stages.report import main

LIMIT = "Trained with augmentation, attacked with one query."


def page():
    main([])
    return unescape(read_page())


def note(path, notes):
    """Give the rows of some attacks a note, in front of what they say."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        for row in rows:
            first = notes.get(row["attack"], "")
            table.writerow(row | {"note": "; ".join(filter(None, [first, row["note"]]))})


def test_one_query_stands_next_to_all_and_is_no_attack(study):
    root = study(epochs=4, attacks=("threshold", "rmia", "threshold_one_query", "rmia_one_query"))
    notes = dict.fromkeys(("threshold", "rmia"), "6 queries")
    notes |= dict.fromkeys(ONE_QUERY, "1 query of 6, which does not count")
    for name in ("cnn2", "cnn3"):
        note(root / f"data/attack/{name}/privacy.csv", notes)
    text = page()
    section = text.split('<section id="queries">')[1].split("</section>")[0]
    asked = [line.split("<td>")[2:4] for line in section.splitlines() if line.startswith("<tr><td>")]
    once, every = "1 query of 6</td>", "6 queries</td>"
    one_variant = [[f"{attack}</td>", said] for attack in ("threshold", "rmia") for said in (once, every)]
    assert asked == one_variant * 2
    assert "queries (" not in text.split('<section id="limits">')[1].split("</section>")[0]
    curves = Path("plots/curves.csv").read_text()
    assert "one_query" not in curves
    assert "rmia" in curves


def test_without_queries_there_is_no_such_section(study):
    study(epochs=4)
    assert '<section id="queries">' not in page()


def layer(name, module="keras.layers", **config):
    return {"module": module, "class_name": name, "config": config}


def initial(name):
    """Initial values as Keras's layers name them in their JSON."""
    return layer(name, "keras.initializers", seed=None)


@pytest.mark.parametrize(
    ("layers", "queries", "said"),
    [
        ([layer("Conv2D"), layer("RandomFlip", mode="horizontal")], None, True),
        ([layer("Sequential", layers=[layer("RandomTranslation")])], None, True),
        ([layer("RandomFlip")], {"mirror": True}, False),
        ([layer("Conv2D", kernel_initializer=initial("RandomNormal")), layer("Dropout")], None, False),
        ([layer("Embedding", embeddings_initializer=initial("RandomUniform"))], None, False),
    ],
)
def test_augmentation_without_queries_is_a_limit(study, layers, queries, said):
    root = study(epochs=4)
    architecture = np.array(json.dumps(layer("Sequential", layers=layers)))
    write_arrays(root / "data/train/cnn2/epoch_0004.npz", {"architecture": architecture})
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["variants"]["cnn2"]["queries"] = queries
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    text = page()
    assert (LIMIT in text) is said
    assert (f"{LIMIT}</strong> 2 Layers: a model" in text) is said
