"""Common claims about latent spaces of AEs and VAEs, each with its one primary number. `verdicts` judges them.

Seven are about any images, and one, which stands first, about images whose generating factors are known. docs/method.md
says why it is these numbers, and what fools them. Whatever is no primary number is descriptive.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from vae_jax.models import Model

RELATIVE = 0.1  # share of the mean of both models' numbers that is the margin of a Fréchet distance
OF_GAIN = 0.02  # share of the baseline's gain over the mean training image that is the margin of the price


class Claim(NamedTuple):
    """A claim about a model and its baseline, and what it says about its primary number."""

    text: str  # with `{model}` and `{baseline}` in place of their titles
    measurement: str  # the primary number, a name of `MEASUREMENTS`
    says: Literal["higher", "lower"]  # the model's number is that
    topic: str  # what it is about
    gain: str  # what the model then has, beside the baseline
    loss: str  # what it has if the opposite holds
    margin: float | None = None  # a smaller difference does not matter; None where `verdicts` computes it
    of_plausible: bool = False  # nothing is said of a model most of whose reconstructions are implausible


CLAIMS = (
    Claim(
        "Single dimensions of the {model} follow single factors, more than those of the {baseline}",
        "mig", "higher", "single factors",
        "dimensions that follow single factors more", "dimensions that follow single factors less",
        0.02,
    ),
    Claim(
        "N(0, I) can be sampled without looking at the codes of the {model}, less so at those of the {baseline}",
        "prior_gap", "lower", "samples of N(0, I)",
        "N(0, I) samples nearer those of its codes", "N(0, I) samples farther from those of its codes",
    ),
    Claim(
        "With mean and covariance of its codes known, the {model} samples better than the {baseline}",
        "gaussian_frechet", "lower", "samples of a fitted Gaussian",
        "better samples of a fitted Gaussian", "worse samples of a fitted Gaussian",
    ),
    Claim(
        "There are fewer holes between the codes of the {model} than between those of the {baseline}",
        "gaussian_hole_mass", "lower", "holes",
        "fewer holes", "more holes",
        0.02,
    ),
    Claim(
        "A small step between codes changes the image of the {model} less than that of the {baseline}",
        "step_0_3_change", "lower", "small steps",
        "smaller changes over small steps", "larger changes over small steps",
        0.02,
    ),
    Claim(
        "Points between codes are plausible images in the {model}, less so in the {baseline}",
        "midpoint_implausible_excess", "lower", "images between codes",
        "more plausible images between codes", "less plausible images between codes",
        0.03, of_plausible=True,
    ),
    Claim(
        "Similar images cluster in the codes of the {model}, more than in those of the {baseline}",
        "knn_accuracy_whitened", "higher", "clusters",
        "classes that cluster more", "classes that cluster less",
        0.02,
    ),
    Claim(
        "The price: the {model} reconstructs worse than the {baseline}",
        "test_distortion", "higher", "reconstruction",
        "worse reconstructions", "better reconstructions",
    ),
)  # fmt: skip
PRICE = CLAIMS[-1]

BY_CONSTRUCTION: dict[str, Callable[[Model, Model], bool]] = {
    "The {baseline} maps an image to a point, the {model} to a distribution around it": (
        lambda model, baseline: baseline.noise == "none" != model.noise
    ),
    "The noise around a code has one size in the {baseline}, and a size for each image in the {model}": (
        lambda model, baseline: (baseline.noise, model.noise) == ("fixed", "learned")
    ),
}
"""What no run can contradict, so that it gets no verdict: whether it is true of a model and a baseline."""
