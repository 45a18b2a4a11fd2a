"""Pictures of what was measured: numbers of evaluated runs against hyperparameters, and holes in the latent plane."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax import evaluation, figures
from vae_jax.config import FIELDS
from vae_jax.evaluation.latents import nearest_distances, plausibility_threshold
from vae_jax.evaluation.samples import draw_samplers
from vae_jax.gallery.scene import Scene, draw_panels, is_number, rectangular, shown, without
from vae_jax.runs import TrainedRun

MOST_CODES = 2000  # on a map of holes
HOLES_SIDE = 60  # of its grid
SHEET_COLUMNS = 12


def sweep(scene: Scene) -> Figure | None:
    """The sweep.

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter: a flat stretch is where
    more of it buys nothing.
    """
    swept = [name for name in FIELDS if name != "seed" and is_number(name) and len(scene.swept_values(name)) > 1]
    if not swept:
        return None
    name = max(swept, key=lambda name: len(scene.swept_values(name)))
    nats = {"test_loss": "test loss", "test_elbo": "test ELBO", "test_distortion": "test distortion",
            "test_rate": "test rate"}  # fmt: skip
    return _against(scene, name, {number: f"{text} (nats per image)" for number, text in nats.items()})


def dose_response(scene: Scene) -> Figure | None:
    """Dose and response: the KL weight.

    How far the codes are from N(0, I), how many of its samples are implausible, how far they are from test images, and
    what it costs, against the KL weight: more of it brings the codes closer, at a price.
    """
    if len(scene.swept_values("kl_weight")) < 2:
        return None
    numbers = {
        "kl_prior_knn": "KL of all codes to N(0, I) (nats)",
        "hole_mass_prior": "implausible N(0, I) samples (share)",
        "prior_frechet": "Fréchet distance of N(0, I) samples",
        "test_distortion": "test distortion (nats per image)",
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
    figure, ax = plt.subplots(figsize=(7, 5.5))
    figures.rate_distortion(rate, distortion, [f"{weight:g}" for weight in weights], ax)
    return figure


def heat_maps(scene: Scene) -> Figure | None:
    """Latent dimensions against KL weight.

    Of the VAEs (mean and standard deviation over seeds): the ELBO, which weighs both terms alike, the dimensions that
    are used, and how far samples of N(0, I) are from test images.
    """
    dims, weights = scene.swept_values("latent_dim"), scene.swept_values("kl_weight")
    if min(len(dims), len(weights)) < 2:
        return None
    numbers = {"test_elbo": "test ELBO\n(nats per image)", "test_active_units": "active units",
               "prior_frechet": "Fréchet distance\nof N(0, I) samples"}  # fmt: skip
    figure, axes = plt.subplots(len(numbers), 1, figsize=(9, len(numbers) * (1.4 + 0.6 * len(dims))))
    for ax, (number, label) in zip(axes, numbers.items(), strict=True):
        cells: dict[tuple[int, int], list[float]] = {}
        for config, row in scene.evaluated():
            if config.model == "vae" and (value := row.get(number)) is not None:
                place = dims.index(config.latent_dim), weights.index(config.kl_weight)
                cells.setdefault(place, []).append(value)
        mean, sd = (np.full((len(dims), len(weights)), np.nan) for _ in range(2))
        for place, values in cells.items():
            mean[place] = np.mean(values)
            sd[place] = np.std(values, ddof=1) if len(values) > 1 else np.nan
        spread = sd if np.isfinite(sd).any() else None
        names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
        figures.heat_map(mean, spread, *names, "kl_weight", "latent_dim", label, ax)
    return figure


def kl_per_dimension(scene: Scene) -> Figure | None:
    """KL of each latent dimension.

    Of each VAE, the dimensions in falling order (mean and standard deviation over seeds): what a dimension says of an
    image, in nats. One near 0 is not used.
    """
    runs: dict[int, dict[str, list[list[float]]]] = {}
    others = scene._replace(configs=[without(config, "latent_dim") for config in scene.configs])
    for config, row in scene.evaluated():
        if kl := row.get("test_kl_per_dimension"):
            label = others.label(without(config, "latent_dim"))
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


def _against(scene: Scene, name: str, numbers: Mapping[str, str]) -> Figure:
    """Four numbers against a hyperparameter, a panel each."""
    x = scene.swept_values(name)
    lines = {number: _by_value(scene, name, number) for number in numbers}
    labels = dict.fromkeys(label for panel in lines.values() for label in panel)
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.6))
    for ax, (number, ylabel) in zip(axes.flat, numbers.items(), strict=True):
        if lines[number]:
            # What has no such number (an AE has no rate) keeps its place in the order of colours.
            every = {label: lines[number].get(label, np.full((len(x), 1), np.nan)) for label in labels}
            figures.sweep_curve(x, every, name, ylabel, x[0] > 0 and x[-1] > 4 * x[0], ax)
        else:
            ax.set_visible(False)
    return figure


def _by_value(scene: Scene, name: str, number: str) -> dict[str, np.ndarray]:
    """A number over the values of a hyperparameter: float[X, S] by setting, NaN where a seed is missing."""
    x = scene.swept_values(name)
    cells: dict[str, list[list[float]]] = {}
    others = scene._replace(configs=[without(config, name) for config in scene.configs])
    for config, row in scene.evaluated():
        if (value := row.get(number)) is not None and FIELDS[name].metadata["used"](config):
            line = cells.setdefault(others.label(without(config, name)), [[] for _ in x])
            line[x.index(getattr(config, name))].append(value)
    return rectangular(cells)
