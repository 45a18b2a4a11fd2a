"""scripts.non_digits as a command: the table it prints, and data that it cannot ask about."""

import numpy as np
import pytest

from scripts import non_digits
from scripts.probes import Probe
from vae_jax.measure import judges, recipe


def test_the_table_has_a_line_for_each_kind(write_npz, monkeypatch, capsys):
    monkeypatch.setattr(judges, "SCHEDULE", recipe.Schedule(1, 2, 1e-3))
    name = write_npz(num_train=40, num_test=16)
    assert non_digits.main(["non_digits.py", f"--dataset={name}", "--seed=3"]) == 0
    heading, _, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith(name)
    assert "of seed 3" in heading
    assert len(lines) == 7
    assert all(" of 16 " in line and line.endswith("met") for line in lines)


@pytest.mark.parametrize(
    ("share", "is_real", "said"),
    [(0.5, False, "at least 80% : not met"), (0.9, False, "at least 80% : met"), (0.9, True, "at most 80%  : not met")],
)
def test_a_row_has_the_share_its_binomial_error_and_what_is_required(share, is_real, said):
    row = non_digits.row(Probe("crosses", np.zeros((400, 2, 2)), is_real, 0.8), share)
    error = {0.5: "2.5%", 0.9: "1.5%"}[share]  # √(p (1 - p) / 400)
    assert row.split() == ["crosses", f"{100 * share:.1f}%", "±", error, "of", "400", *said.split()]


def test_unlabelled_data_cannot_be_asked_about(write_npz, capsys):
    assert non_digits.main(["non_digits.py", f"--dataset={write_npz(labels=False)}"]) == 1
    assert "has no labels" in capsys.readouterr().err
    assert non_digits.main(["non_digits.py", "--dataset=mnits"]) == 2
