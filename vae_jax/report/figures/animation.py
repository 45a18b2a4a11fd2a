"""The latent plane and its draws along the KL weight, as an animated WebP."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from PIL import Image

from vae_jax.config import FIELDS, LEAST_WEIGHTS, Config
from vae_jax.errors import UserError
from vae_jax.measure.latents import matching_rotation
from vae_jax.models import MODELS
from vae_jax.report.figures import images, planes
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.latents import WIDEST, limit_of
from vae_jax.report.figures.style import in_style

MAX_DOTS, MAX_ELLIPSES = 1000, 150  # codes
SIDE = 6  # of the grid of draws
SIZE, DPI = (9.0, 5.2), 100  # inches, pixels per inch
STEPS = 10  # frames from one weight to the next
PAUSE, STEP, END = 700, 50, 2000  # milliseconds at a weight, of a frame between two, and at the last weight
QUALITY = 70  # of WebP


class Stop(NamedTuple):
    """The picture at one KL weight: N codes, on axes that all stops share. Frames between two stops are averages."""

    places: np.ndarray
    """float64[N, 2], means of posteriors."""
    spread: np.ndarray
    """float64[N, 2, 2], symmetric: the root of each posterior's covariance; 0 for a point."""
    tiles: np.ndarray
    """float32[SIDE, SIDE, h, w] or [SIDE, SIDE, h, w, 3], decodes of draws of N(0, I), the same places at all stops."""


def animate(inputs: Inputs) -> bytes:
    """Draws the plane of codes, and draws of N(0, I) decoded, from the model without a KL weight to the largest weight.

    Planes are turned about the origin to match their neighbours, which changes neither distances nor N(0, I).

    Raises:
        UserError: too few KL weights are trained at 2 dimensions.
    """
    configs = path(inputs)
    names = [f"{config.kl_weight:g}" if config.uses("kl_weight") else MODELS[config.model].title for config in configs]
    stops = _stops(inputs, configs)
    limits = [limit_of(stop.places) for stop in stops]
    limit = min(max(limits), WIDEST * min(limits))
    labels = inputs.test(configs[0], len(stops[0].places)).labels
    colors = planes.class_colors(len(stops[0].places), labels, inputs.dataset(configs[0]).classes)
    frames, durations = [], []
    with in_style():
        for index, stop in enumerate(stops):
            for step in range(STEPS if stop is not stops[-1] else 1):
                share = step / STEPS
                share *= share * (3 - 2 * share)  # slow at both ends
                after = stops[index + 1] if step else stop
                seen = Stop(*((1 - share) * here + share * there for here, there in zip(stop, after, strict=True)))
                frames.append(_frame(seen, colors, limit, names, index + share))
                durations.append(STEP if step else PAUSE)
    content, durations[-1] = io.BytesIO(), END
    frames[0].save(
        content, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=QUALITY, method=4,
    )  # fmt: skip
    return content.getvalue()


def path(inputs: Inputs) -> list[Config]:
    """Returns the runs by rising KL weight: a model without one in place of weight 0, then the last model with enough.

    Of the runs of a weight it is the one nearest to the experiment's base.
    """

    def place(config: Config) -> tuple[int, int]:
        differences = (getattr(config, n) != getattr(inputs.base, n) for n in FIELDS if n not in ("kl_weight", "seed"))
        return sum(differences), config.seed

    flat = sorted((config for config in (*inputs.configs, *inputs.shown) if config.latent_dim == 2), key=place)
    start = [config for config in flat if not config.uses("kl_weight")][:1]
    for model in reversed(MODELS):
        runs = {c.kl_weight: c for c in reversed(flat) if c.model == model and c.uses("kl_weight")}
        if len(runs) >= LEAST_WEIGHTS:
            return [*start, *(runs[weight] for weight in sorted(runs) if weight > 0 or not start)]
    raise UserError(f"fewer than {LEAST_WEIGHTS} KL weights of a model are trained at 2 dimensions")


def _stops(inputs: Inputs, configs: Sequence[Config]) -> list[Stop]:
    z = np.random.default_rng(0).standard_normal((SIDE, SIDE, 2), np.float32)
    stops: list[Stop] = []
    for config in reversed(configs):  # the largest weight has the roundest codes, so that the others turn to it
        codes = inputs.codes(config)
        mean = codes.mean[:MAX_DOTS].astype(np.float64)
        rotation = matching_rotation(mean, stops[-1].places) if stops else np.eye(2)
        sd = np.zeros_like(mean) if codes.logvar is None else np.exp(codes.logvar[:MAX_DOTS] / 2.0)
        spread = np.einsum("ij,nj,kj->nik", rotation, sd, rotation)
        stops.append(Stop(mean @ rotation.T, spread, inputs.decode(config, (z @ rotation).astype(np.float32))))
    return stops[::-1]


def _frame(stop: Stop, colors: np.ndarray, limit: float, names: Sequence[str], at: float) -> Image.Image:
    """Draws one picture; `at` is how far along the names of the weights it is, from 0."""
    figure = Figure(figsize=SIZE, dpi=DPI)
    plane = figure.add_axes((0.05, 0.19, 0.43, 0.43 * SIZE[0] / SIZE[1]))
    sheet = figure.add_axes((0.53, 0.19, 0.43, 0.43 * SIZE[0] / SIZE[1]))
    _draw_plane(plane, stop, colors, limit)
    images.image_grid(sheet, stop.tiles)
    sheet.set_title("draws from N(0, I), decoded")
    _draw_slider(figure.add_axes((0.12, 0.02, 0.76, 0.11)), names, at)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _draw_plane(ax: Axes, stop: Stop, colors: np.ndarray, limit: float) -> None:
    variances, axes = np.linalg.eigh(stop.spread[:MAX_ELLIPSES])
    angles = np.degrees(np.arctan2(axes[:, 1, 0], axes[:, 0, 0]))
    ax.add_collection(EllipseCollection(
        2 * variances[:, 0], 2 * variances[:, 1], angles, units="xy", offsets=stop.places[:MAX_ELLIPSES],
        offset_transform=ax.transData, facecolors=to_rgba_array(colors[:MAX_ELLIPSES], 0.25),
        edgecolors=colors[:MAX_ELLIPSES], linewidths=0.6,
    ))  # fmt: skip
    ax.scatter(stop.places[:, 0], stop.places[:, 1], s=5, c=colors, linewidths=0)
    planes.draw_prior(ax)
    ax.set(
        xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], title="codes of test images, N(0, I) dashed"
    )
    ax.spines[:].set_visible(True)


def _draw_slider(ax: Axes, names: Sequence[str], at: float) -> None:
    ax.plot([0, len(names) - 1], [0, 0], color="0.6", linewidth=3, solid_capstyle="round", zorder=1)
    ax.scatter(range(len(names)), [0] * len(names), s=30, color="0.6", zorder=2)
    ax.scatter([at], [0], s=170, color="black", zorder=3)
    for place, name in enumerate(names):
        ax.text(place, -0.55, name, ha="center", va="top", weight="bold" if round(at) == place else "normal")
    ax.text(-0.35, 0, "KL weight", ha="right", va="center")
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(-1.6, 0.6))
    ax.set_axis_off()
