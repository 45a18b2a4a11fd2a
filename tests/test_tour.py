"""The notebook is a notebook, and its cells run from top to bottom."""

import ast
import dataclasses
import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import vae_jax

PATH = Path(__file__).resolve().parents[1] / "docs" / "tour.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CELLS = NOTEBOOK["cells"]


def test_it_is_of_format_4_5_and_holds_no_output():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert set(NOTEBOOK) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert len({cell["id"] for cell in CELLS}) == len(CELLS) <= 12
    for cell in CELLS:
        assert cell["id"].replace("-", "").isalnum()
        assert "".join(cell["source"]).splitlines(keepends=True) == cell["source"]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            ast.parse("".join(cell["source"]))
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | (
            {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        )


def test_its_cells_run(capsys, monkeypatch):
    train = vae_jax.train
    # Two short programs, which narrow networks of other tests have, where a reader has three.
    quick = {"num_epochs": 12, "latent_dim": 2, "hidden_dims": (8,), "learning_rate": 1e-2}
    monkeypatch.setattr(vae_jax, "train", lambda config: train(dataclasses.replace(config, **quick)))
    namespace, drawn = {}, 0
    try:
        for cell in CELLS:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), cell["id"], "exec"), namespace)
        drawn = len(plt.get_fignums())
    finally:
        plt.close("all")
    out, _ = capsys.readouterr()
    assert "def ae_objective" in out
    assert "def vae_objective" in out
    assert drawn == 5
    assert namespace["codes"]["ae"].shape == namespace["codes"]["vae"].shape == (1000, 2)
    labels, vae = namespace["digits"].labels, namespace["codes"]["vae"]
    means = np.stack([vae[labels == digit].mean(axis=0) for digit in range(10)])
    nearest = np.argmin(np.linalg.norm(vae[:, None] - means, axis=-1), axis=1)
    assert np.mean(nearest == labels) > 0.3  # it has learned something; 0.22 without a step of training
    assert namespace["draws"].shape == (40, 28, 28)
