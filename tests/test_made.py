"""A launch draws and writes again only what would change."""

import shutil

import pytest
from matplotlib.figure import Figure

from vae_jax import source
from vae_jax.claims import results
from vae_jax.launch import launcher
from vae_jax.report import figures, made, page
from vae_jax.report.figures import FIGURES
from vae_jax.report.figures.panels import Drawing
from vae_jax.report.page import explorer, first
from vae_jax.workdir import read_experiment

pytestmark = pytest.mark.usefixtures("cheap_compilation")


def blank(inputs):
    return Drawing(Figure((1, 1)), "")


@pytest.fixture
def workdir(tiny_workdir, tmp_path, coarse_figures):
    return shutil.copytree(tiny_workdir, tmp_path / "workdir")


@pytest.fixture
def launch(workdir, monkeypatch):
    """Launches with these flags and returns whether figures and page were made; what is drawn is beside the point."""
    for module in (explorer, first):
        monkeypatch.setattr(module, "build", lambda *_, **__: None)
    for name in FIGURES:
        monkeypatch.setitem(FIGURES, name, FIGURES[name]._replace(draw=blank))
    done, draw, write = [], figures.draw, page.write
    monkeypatch.setattr(figures, "draw", lambda *args: done.append("figures") or draw(*args))
    monkeypatch.setattr(page, "write", lambda *args: done.append("page") or write(*args))

    def launch(*flags, code=0):
        done.clear()
        assert launcher.main(["launch.py", f"--workdir={workdir}", "--evaluate=never", *flags]) == code
        assert done in ([], ["figures", "page"])
        return bool(done)

    return launch


def test_what_would_not_change_is_not_made_again(workdir, launch, capsys):
    assert launch()
    kept = {path: path.read_bytes() for path in [*(workdir / "figures").iterdir(), workdir / "report.html"]}
    assert len(kept) == 5
    capsys.readouterr()
    assert not launch()
    assert "--figures=again" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in kept} == kept
    for path in kept:
        path.unlink()
        assert launch()
    assert {path: path.read_bytes() for path in kept if path.name != "report.html"} == {
        path: content for path, content in kept.items() if path.name != "report.html"
    }
    assert launch("--figures=again")
    assert launch("--seed=0")  # fewer runs
    assert not launch("--seed=0")
    assert launch("--seed=0", "--language=ko")
    asked = "--only_figures=latent_space", "--figure_format=png"
    assert launch("--seed=0", "--language=ko", *asked)
    assert not launch("--seed=0", "--language=ko", *asked)
    assert [path.name for path in (workdir / "figures").iterdir()] == ["latent_space.png"]


def test_pictures_of_a_drawing_that_failed_or_was_stopped_are_not_current(workdir, launch, monkeypatch):
    assert launch()

    def fail(inputs):
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setitem(FIGURES, "latent_space", FIGURES["latent_space"]._replace(draw=fail))
        assert not launch(code=0)  # this is no change of the source
        assert launch("--figures=again", code=1)
    assert launch()
    assert not launch()


@pytest.mark.parametrize("content", ['{"digest": "now"}', "[]", '{"digest": "then", "files": []}', "3", "{"])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / "made.json").write_text(content)
    assert not made.is_current(tmp_path, "now")


def test_a_record_is_of_what_it_was_made_from(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    made.record(tmp_path, "now", ["a.png"])
    assert made.is_current(tmp_path, "now")
    assert not made.is_current(tmp_path, "then")
    made.forget(tmp_path)
    assert not made.is_current(tmp_path, "now")


def test_the_digest_is_of_runs_numbers_question_options_and_code(workdir, monkeypatch):
    experiment = read_experiment(workdir)
    found = results.collect(workdir, experiment.configs)
    digests = {made.digest(experiment, workdir, found, "en")}
    assert digests == {made.digest(experiment, workdir, found, "en")}
    config = experiment.configs[0]
    digests.add(made.digest(experiment, workdir, found, "ko"))
    digests.add(made.digest(experiment, workdir, found._replace(rows={config: {"test_elbo": -1.0}}), "en"))
    digests.add(made.digest(experiment, workdir, found._replace(reasons={config: "no room"}), "en"))
    fewer = found._replace(configs=found.configs[:1])
    digests.add(made.digest(experiment.override({"seed": (0,)}), workdir, fewer, "en"))
    params = workdir / "runs" / config.name / "params.safetensors"
    params.write_bytes(params.read_bytes()[:-1])
    digests.add(made.digest(experiment, workdir, found, "en"))
    monkeypatch.setattr(source, "digest", lambda **_: "another version")
    digests.add(made.digest(experiment, workdir, found, "en"))
    assert len(digests) == 7
