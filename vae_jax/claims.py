"""Common claims about latent spaces: sentences, and what each says about measurements. `verdicts.py` judges them.

Each measurement tests its sentence and nothing else. What is true by construction is no claim.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from vae_jax.models import Model

AS_GOOD = "as good"  # what a claim may say beside "higher" and "lower"
NEAR = 10.0  # distances of real training images from the test images; what is nearer is near


class Claim(NamedTuple):
    """A sentence, and what it says about measurements."""

    text: str  # with `{model}` and `{baseline}` in place of their titles
    says: Mapping[str, str] = {}
    """By measurement: the model's number is "higher" or "lower", or the baseline's "as good", or a slope's sign."""
    is_about: Callable[[Model, Model], bool] = lambda model, baseline: True
    """Whether it says anything about this model and baseline."""

    def sentence(self, model: str, baseline: str = "") -> str:
        """Returns the text about a model and a baseline of these titles."""
        return self.text.format(model=model, baseline=baseline)


BY_CONSTRUCTION = (
    Claim(
        "The {baseline} maps an image to a point, the {model} to a distribution around it",
        is_about=lambda model, baseline: baseline.noise == "none" != model.noise,
    ),
    Claim(
        "The noise around a code has one size in the {baseline}, and a size for each image in the {model}",
        is_about=lambda model, baseline: (baseline.noise, model.noise) == ("fixed", "learned"),
    ),
)
"""What no run can contradict, so that it gets no verdict."""

CLAIMS = (
    Claim(
        "Nearby codes decode to similar images in the {model}, less so in the {baseline}",
        {"step_0_1_change": "lower", "step_0_3_change": "lower", "step_1_0_change": "lower", "step_0_3_flips": "lower"},
    ),
    Claim(
        "N(0, I) samples of the {model} are nearer to real images than those of the {baseline}",
        {"prior_frechet": "lower", "prior_kid": "lower", "prior_implausible_excess": "lower"},
    ),
    Claim(
        "With a sampler fitted to its codes, the {baseline} samples as well as the {model} (Ghosh et al. 2020)",
        {"gaussian_frechet": "as good", "mixture_frechet": "as good"},
    ),
    Claim(
        "Whatever their scale, the codes of the {model} are shaped more like a Gaussian and leave fewer holes in it",
        {"negentropy": "lower", "gaussian_hole_mass": "lower"},
        lambda model, baseline: "kl_weight" in model.fields,
    ),
    Claim(
        "Less of N(0, I) lies in holes between the codes of the {model}",
        {"prior_hole_mass": "lower"},
        lambda model, baseline: "kl_weight" in model.fields,
    ),
    Claim(
        "Codes of a class lie together, more so in the {model}",
        {"knn_accuracy": "higher", "knn_accuracy_whitened": "higher", "silhouette": "higher", "nmi": "higher"},
    ),
    Claim(
        "Unseen codes decode to plausible images in the {model}, less so in the {baseline}",
        {"gaussian_implausible_excess": "lower", "midpoint_implausible_excess": "lower", "cycle_error": "lower"},
    ),
    Claim(
        "The price: the {model} gives up reconstruction, even from its mean codes",
        {"test_distortion_mean_code": "higher", "test_mse": "higher"},
    ),
    Claim(
        "The price: drawing a code costs the {model} reconstruction on top",
        {"test_noise_cost": "higher"},
        lambda model, baseline: baseline.noise == "none" != model.noise,
    ),
)
"""What is claimed of a model beside its baseline."""

CLAIMS_ALONE = (
    Claim(
        f"N(0, I) samples of the {{model}} are near real images: within {NEAR:g} times the distance of training images",
        {"prior_frechet_over_floor": "lower"},
    ),
)
"""What is claimed of a model whatever the others do, each against the threshold `NEAR`."""

DOSE_RESPONSE = Claim(
    "The harder the {model} is pulled towards N(0, I), the closer are its codes, the less of it lies in holes, and the "
    "higher is the price",
    {"kl_prior_knn": "lower", "prior_hole_mass": "lower", "test_distortion_mean_code": "higher"},
)
