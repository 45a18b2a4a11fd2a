"""A launch draws and writes again only what would change."""

import json
import shutil

import pytest

from vae_jax import source
from vae_jax.claims import results
from vae_jax.launch import launcher
from vae_jax.report import figures, made, page
from vae_jax.workdir import read_experiment

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.fixture
def workdir(tiny_workdir, tmp_path, coarse_figures):
    return shutil.copytree(tiny_workdir, tmp_path / "workdir")


@pytest.fixture
def again(workdir, monkeypatch):
    """Launches with these flags and returns what is made, by name."""
    done, draw_one, write = [], figures._draw_one, page.write
    monkeypatch.setattr(figures, "_draw_one", lambda name, *args: done.append(name) or draw_one(name, *args))
    monkeypatch.setattr(page, "write", lambda *args: done.append("page") or write(*args))

    def launch_again(*flags):
        done.clear()
        assert launcher.main(["launch.py", f"--workdir={workdir}", "--evaluate=never", *flags]) == 0
        return list(done)

    return launch_again


def test_what_would_not_change_is_not_made_again(workdir, again):
    everything = ["training_curves", "latent_space", "page"]
    assert again() == everything
    kept = {path.name: path.read_bytes() for path in (workdir / "figures").iterdir()}
    html = (workdir / "report.html").read_text()
    assert again() == []
    assert {path.name: path.read_bytes() for path in (workdir / "figures").iterdir()} == kept
    (workdir / "figures" / "latent_space.pdf").write_bytes(b"%PDF damaged")
    assert again() == ["latent_space"]
    (workdir / "figures" / "training_curves.png").unlink()
    assert again() == ["training_curves"]
    assert {path.name: path.read_bytes() for path in (workdir / "figures").iterdir()} == kept
    (workdir / "report.html").write_text(html[:1000])
    assert again() == ["page"]
    assert again("--figures=again") == everything
    assert again("--seed=0") == everything  # fewer runs
    assert again("--seed=0") == []
    (workdir / "made.json").write_text("[}")
    assert again("--seed=0") == everything


@pytest.mark.parametrize("content", ['{"x": 3}', "[]", '{"x": {"digest": "now", "files": [], "facts": []}}', "3", "{"])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / "made.json").write_text(content)
    assert made.Made(tmp_path, "now").find("x") is None


def test_a_record_is_of_what_it_was_made_from(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    record = made.Made(tmp_path, "now")
    record.add("a", ["a.png"], ["title", 3])
    record.write()
    assert made.Made(tmp_path, "now").find("a") == ["title", 3]
    assert made.Made(tmp_path, "then").find("a") is None
    assert made.Made(tmp_path, "now", again=True).find("a") is None
    (tmp_path / "a.png").write_bytes(b"pictures")
    assert made.Made(tmp_path, "now").find("a") is None
    made.Made(tmp_path, "then").write()
    assert json.loads((tmp_path / "made.json").read_text()) == {}


def test_the_digest_is_of_runs_numbers_question_and_code(workdir, monkeypatch):
    experiment = read_experiment(workdir)
    found = results.collect(workdir, experiment.configs)
    digests = {made.digest(experiment, workdir, found)}
    assert digests == {made.digest(experiment, workdir, found)}
    config = experiment.configs[0]
    digests.add(made.digest(experiment, workdir, found._replace(rows={config: {"test_elbo": -1.0}})))
    digests.add(made.digest(experiment, workdir, found._replace(reasons={config: "no room"})))
    digests.add(made.digest(experiment.override({"seed": (0,)}), workdir, found._replace(configs=found.configs[:1])))
    params = workdir / "runs" / config.name / "params.safetensors"
    params.write_bytes(params.read_bytes()[:-1])
    digests.add(made.digest(experiment, workdir, found))
    monkeypatch.setattr(source, "digest", lambda **_: "another version")
    digests.add(made.digest(experiment, workdir, found))
    assert len(digests) == 6
