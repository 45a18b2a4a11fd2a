"""Pictures of what was measured: numbers of evaluated runs against hyperparameters, and holes in the latent plane."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax import evaluation, figures
from vae_jax.config import FIELDS
from vae_jax.evaluation.latents import nearest_distances, plausibility_threshold
from vae_jax.evaluation.samples import draw_samplers
from vae_jax.gallery.scene import Scene, draw_panels, is_number, rectangular, share_legend, shown
from vae_jax.runs import TrainedRun

MOST_CODES = 2000  # on a map of holes
HOLES_SIDE = 60  # of its grid
SHEET_COLUMNS = 12


def sweep(scene: Scene) -> Figure | None:
    """The sweep.

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter: where the curves turn flat
    it is enough, and more of it buys nothing. Active units are the latent dimensions that a VAE uses.
    """
    swept = [name for name in FIELDS if name != "seed" and is_number(name) and len(scene.swept_values(name)) > 1]
    if not swept:
        return None
    name = max(swept, key=lambda name: len(scene.swept_values(name)))
    numbers = {
        "test_loss": "test loss\n(nats per image)",
        "test_elbo": "test ELBO\n(nats per image)",
        "test_distortion": "test distortion\n(nats per image)",
        "test_rate": "test rate\n(nats per image)",
        "test_active_units": "active units",
        "prior_frechet": "Fréchet distance\nof N(0, I) samples",
    }
    return _against(scene, name, numbers)


def dose_response(scene: Scene) -> Figure | None:
    """Dose and response: the KL weight.

    How far the codes are from N(0, I), how many of its samples are implausible, how far they are from test images, and
    what it costs, against the KL weight: more of it brings the codes closer, at a price.
    """
    if len(scene.swept_values("kl_weight")) < 2:
        return None
    numbers = {
        "kl_prior_knn": "KL of all codes\nto N(0, I) (nats)",
        "hole_mass_prior": "implausible N(0, I)\nsamples (share)",
        "prior_frechet": "Fréchet distance\nof N(0, I) samples",
        "test_distortion": "test distortion\n(nats per image)",
    }
    return _against(scene, "kl_weight", numbers)


def rate_distortion(scene: Scene) -> Figure | None:
    """Rate and distortion over the KL weight.

    One point a KL weight, one small marker a seed; along a grey line the ELBO is the same. A model that lies lower and
    further left is better; a KL weight only chooses a place on its curve.
    """
    weights = scene.swept_values("kl_weight")
    rate, distortion = (_by_value(scene, "kl_weight", number) for number in ("test_rate", "test_distortion"))
    if len(weights) < 2 or not rate:
        return None
    dims = {scene.label(config, ["kl_weight"]): config.latent_dim for config in scene.configs if config.model == "vae"}
    frontiers = sorted(rate, key=lambda label: dims[label])
    shades = [dims[label] for label in frontiers] if len(set(dims.values())) > 1 else None
    rate, distortion = ({label: points[label] for label in frontiers} for points in (rate, distortion))
    figure, ax = plt.subplots(figsize=(9, 6))
    figures.rate_distortion(rate, distortion, [f"{weight:g}" for weight in weights], ax, shades)
    return figure


def heat_maps(scene: Scene) -> Figure | None:
    """Latent dimensions against KL weight.

    Of the VAEs (mean ± standard deviation over seeds): the ELBO of the images held out for validation, which weighs
    both terms alike and by which a setting may be chosen; the dimensions that are used; and how far samples of N(0, I)
    are from test images. Look for where the ELBO is highest, and whether samples are best there too.
    """
    dims, weights = scene.swept_values("latent_dim"), scene.swept_values("kl_weight")
    if min(len(dims), len(weights)) < 2:
        return None
    numbers = {"validation_elbo": "validation ELBO\n(nats per image)", "test_active_units": "active units",
               "prior_frechet": "Fréchet distance\nof N(0, I) samples"}  # fmt: skip
    maps = {label: cells for number, label in numbers.items() if (cells := _cells(scene, number))}
    if not maps:
        return None
    figure, axes = plt.subplots(len(maps), 1, figsize=(9, len(maps) * (1.4 + 0.6 * len(dims))), squeeze=False)
    for ax, (label, cells) in zip(axes.flat, maps.items(), strict=True):
        mean, sd = (np.full((len(dims), len(weights)), np.nan) for _ in range(2))
        for (dim, weight), values in cells.items():
            place = dims.index(dim), weights.index(weight)
            mean[place] = np.mean(values)
            sd[place] = np.std(values, ddof=1) if len(values) > 1 else np.nan
        names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
        figures.heat_map(mean, sd, *names, "kl_weight", "latent_dim", label, ax)
    return figure


def _cells(scene: Scene, number: str) -> dict[tuple[int, float], list[float]]:
    """A number of the VAEs by latent_dim and kl_weight, a value a seed."""
    cells: dict[tuple[int, float], list[float]] = {}
    for config, row in scene.evaluated():
        if config.model == "vae" and (value := row.get(number)) is not None:
            cells.setdefault((config.latent_dim, config.kl_weight), []).append(value)
    return cells


def kl_per_dimension(scene: Scene) -> Figure | None:
    """KL of each latent dimension.

    Of each VAE, the dimensions in falling order (mean and standard deviation over seeds): what a dimension says of an
    image, in nats. One near 0 is not used.
    """
    runs: dict[int, dict[str, list[list[float]]]] = {}
    for config, row in scene.evaluated():
        if kl := row.get("test_kl_per_dimension"):
            label = scene.label(config, ["latent_dim"])
            runs.setdefault(config.latent_dim, {}).setdefault(label, []).append(sorted(kl, reverse=True))
    if not runs:
        return None
    figure, axes = plt.subplots(len(runs), 1, figsize=(9, 2.6 * len(runs)), squeeze=False)
    for ax, (latent_dim, values) in zip(axes.flat, sorted(runs.items()), strict=True):
        figures.bars({label: np.array(kl) for label, kl in values.items()}, "dimension, by KL", "KL (nats)", ax)
        ax.set_title(f"latent_dim {latent_dim}")
        # Beside the bars, which many settings would hide.
        ax.legend(title=ax.get_legend().get_title().get_text(), loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def holes(scene: Scene) -> Figure | None:
    """Holes in the latent plane.

    How far the decode of each point is from the nearest train image, in the classifier's features, with the codes of
    test images on it. Beyond the line it is farther than 95 % of real test images are: a hole.
    """
    runs = [run for run in scene.panels if run.config.latent_dim == 2 and scene.dataset(run).train.labels is not None]
    if not runs:
        return None

    def panel(run: TrainedRun, ax: Axes) -> None:
        dataset = scene.dataset(run)
        classifier = evaluation.load_classifier(dataset, scene.workdir)

        def features(images: np.ndarray) -> np.ndarray:
            return classifier.predict(images)[0]

        real = features(dataset.train.images[:5000] / np.float32(255))
        threshold = plausibility_threshold(real, features(dataset.test.images[:2000] / np.float32(255)))
        test = shown(dataset.test, MOST_CODES)
        codes = run.encode(test.images).mean
        finite = codes[np.isfinite(codes).all(axis=1)]
        limit = max(3.0, 1.05 * float(np.quantile(np.abs(finite), 0.995))) if len(finite) else 3.0
        side = (np.arange(HOLES_SIDE) + 0.5) / HOLES_SIDE * 2 * limit - limit
        z = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)  # row 0 is the top
        distance = nearest_distances(features(run.decode(z)), real).reshape(HOLES_SIDE, HOLES_SIDE)
        extent = (-limit, limit, -limit, limit)
        figures.hole_map(distance, codes, test.labels, extent, threshold, ax, scene.title(run), "distance (features)")

    return draw_panels(scene, runs, panel, (5.2, 4.9))


def samplers(scene: Scene) -> Figure:
    """Samples of four samplers.

    Codes from N(0, I), from a Gaussian and from a mixture of ten fitted to the model's own codes, and codes of images:
    how much of an AE's bad samples is the fault of the sampler.
    """

    def panel(run: TrainedRun, ax: Axes) -> None:
        draws = draw_samplers(run, scene.dataset(run).train.images, 2 * SHEET_COLUMNS, seed=0)
        images = np.concatenate([run.decode(z) for z in draws.values()])
        tiles = images.reshape(2 * len(draws), SHEET_COLUMNS, *images.shape[1:])
        rows = [label for name in draws for label in (name, "")]
        figures.image_grid(tiles, ax, rows, title=scene.title(run))

    return draw_panels(scene, scene.panels, panel, (5.0, 4.0))


def _against(scene: Scene, name: str, numbers: Mapping[str, str]) -> Figure | None:
    """Numbers, each with its label, against a hyperparameter: a panel for each that a run has."""
    x = scene.swept_values(name)
    panels = {label: lines for number, label in numbers.items() if (lines := _by_value(scene, name, number))}
    if not panels:
        return None
    labels = dict.fromkeys(label for lines in panels.values() for label in lines)
    rows = math.ceil(len(panels) / 2)
    figure, axes = plt.subplots(rows, 2, figsize=(9, 3 * rows + 0.6), squeeze=False)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax, (ylabel, lines) in zip(axes.flat, panels.items(), strict=False):
        # What has no such number (an AE has no rate) keeps its place in the order of colours.
        every = {label: lines.get(label, np.full((len(x), 1), np.nan)) for label in labels}
        figures.sweep_curve(x, every, name, ylabel, x[0] > 0 and x[-1] > 4 * x[0], ax)
    share_legend(figure)
    return figure


def _by_value(scene: Scene, name: str, number: str) -> dict[str, np.ndarray]:
    """A number over the values of a hyperparameter: float[X, S] by setting, NaN where a seed is missing."""
    x = scene.swept_values(name)
    cells: dict[str, list[list[float]]] = {}
    for config, row in scene.evaluated():
        if (value := row.get(number)) is not None and FIELDS[name].metadata["used"](config):
            line = cells.setdefault(scene.label(config, [name]), [[] for _ in x])
            line[x.index(getattr(config, name))].append(value)
    return rectangular(cells)
