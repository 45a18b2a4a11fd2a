"""What everyone says of AE and VAE latent spaces, held against the numbers of trained runs.

Each claim has measurements; each compares the AE with the VAE of a setting over seeds, or follows the VAE over the
KL weight. A verdict is computed from a 95 % interval, never written by hand.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

SUPPORTED, CONTRADICTED, NOT_RESOLVED = "supported", "contradicted", "not resolved"


class Measurement(NamedTuple):
    """A number of evaluation.json that a claim makes a statement about."""

    key: str
    text: str  # what is measured, with its unit
    higher: bool  # whether the claim says that the VAE's number is the higher one
    figure: str = ""  # the figure that shows it, or none


class Claim(NamedTuple):
    """A sentence, and what would have to be so if it were true."""

    text: str
    measurements: Sequence[Measurement]


class Verdict(NamedTuple):
    """One row of the verdict table."""

    claim: str
    measurement: str
    setting: str  # what the runs compared have in common, such as "latent_dim 2"
    ae: str  # mean ± standard deviation over seeds; a dash for a dose-response
    vae: str
    difference: float  # VAE - AE, or the slope per doubling of the KL weight
    low: float  # of the 95 % interval of the difference; NaN where the seeds are too few
    high: float
    verdict: str
    figure: str


CLAIMS = (
    Claim("An AE maps an image to a point, a VAE to a distribution around it", (
        Measurement("posterior_width", "width of q(z | x), in standard deviations of all codes", True, "posteriors"),
    )),
    Claim("Nearby codes decode to similar images in the VAE, less so in the AE", (
        Measurement("step_0.1_change", "change of the decode over 0.1 sd (squared pixels)", False, "manifold"),
        Measurement("step_0.3_change", "change of the decode over 0.3 sd (squared pixels)", False, "manifold"),
        Measurement("step_1.0_change", "change of the decode over 1 sd (squared pixels)", False, "manifold"),
        Measurement("step_0.3_flips", "share of decodes whose class flips over 0.3 sd", False, "manifold"),
    )),
    Claim("Samples of N(0, I) are plausible digits from the VAE, not from the AE", (
        Measurement("prior_frechet", "Fréchet distance of N(0, I) samples", False, "samples"),
        Measurement("hole_mass_prior", "share of implausible N(0, I) samples", False, "holes"),
        Measurement("gaussian_frechet", "the same distance, each model with its own Gaussian", False, "samplers"),
        Measurement("mixture_frechet", "the same distance, each model with its own mixture", False, "samplers"),
    )),
    Claim("The KL term pulls the codes towards N(0, I) and closes the gaps", (
        Measurement("kl_prior_knn", "KL of all codes to N(0, I) (nats, nearest neighbours)", False, "latent_space"),
        Measurement("mmd_prior", "MMD² of all codes to N(0, I)", False, "latent_space"),
        Measurement("hole_mass_gaussian", "share of implausible samples of the codes' own Gaussian", False, "holes"),
    )),
    Claim("Similar digits cluster, and more so in the VAE", (
        Measurement("knn_accuracy", "accuracy of 10 nearest codes", True, "latent_space"),
        Measurement("silhouette", "silhouette of the classes", True, "latent_space"),
        Measurement("nmi", "mutual information of k-means and classes (normalized)", True, "latent_space"),
    )),
    Claim("Unseen codes decode to plausible images", (
        Measurement("midpoint_plausible", "plausible midpoints of two test images (share)", True, "interpolations"),
        Measurement("cycle_error", "distance of a code to the code of its decode (sd)", False),
    )),
    Claim("The price: a VAE gives up reconstruction", (
        Measurement("test_distortion", "distortion (nats per image)", True, "reconstructions"),
        Measurement("test_mse", "squared error per pixel of the mean code's decode", True, "reconstructions"),
    )),
)  # fmt: skip

DOSE_RESPONSE = Claim("The more the KL term weighs, the closer the codes are to N(0, I), and the fewer the holes", (
    Measurement("kl_prior_knn", "KL of all codes to N(0, I) (nats), per doubling", False, "dose_response"),
    Measurement("hole_mass_prior", "share of implausible N(0, I) samples, per doubling", False, "dose_response"),
    Measurement("test_distortion", "the price in distortion (nats), per doubling", True, "dose_response"),
))  # fmt: skip


def compare(settings: Mapping[str, tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]]) -> list[Verdict]:
    """Verdicts on all claims for each setting.

    Args:
        settings: by the text of the setting, the numbers (as in evaluation.json) of its AE runs and of its VAE runs,
            one mapping a seed.
    """
    return [
        _compare(claim, measurement, setting, *([run.get(measurement.key) for run in runs] for runs in pair))
        for claim in CLAIMS
        for measurement in claim.measurements
        for setting, pair in settings.items()
        if all(any(run.get(measurement.key) is not None for run in runs) for runs in pair)
    ]


def dose_response(settings: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]]) -> list[Verdict]:
    """Verdicts on the slope of VAE numbers over log2 of the KL weight, for each setting with three weights or more.

    The interval is the t-interval of least squares over all runs. A response need not be a straight line for the sign
    of its slope to mean something.

    Args:
        settings: by the text of the setting, (kl_weight, numbers) of each VAE run.
    """
    verdicts = []
    for measurement in DOSE_RESPONSE.measurements:
        for setting, runs in settings.items():
            points = [
                (math.log2(weight), value)
                for weight, numbers in runs
                if weight > 0 and (value := numbers.get(measurement.key)) is not None
            ]
            if len({weight for weight, _ in points}) >= 3:
                verdicts.append(_slope(measurement, setting, np.array(points)))
    return verdicts


def difference_interval(ae: Sequence[float], vae: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """mean(vae) - mean(ae) with Welch's t-interval; (difference, NaN, NaN) where either has fewer than two values.

    References:
        Welch 1947, "The generalization of 'Student's' problem".
    """
    difference = float(np.mean(vae) - np.mean(ae))
    if min(len(ae), len(vae)) < 2:
        return difference, math.nan, math.nan
    if np.ptp(ae) == 0 and np.ptp(vae) == 0:
        return difference, difference, difference
    interval = scipy.stats.ttest_ind(vae, ae, equal_var=False).confidence_interval(level)
    return difference, float(interval.low), float(interval.high)


def judge(low: float, high: float, higher: bool) -> str:
    """The verdict on "the difference is above 0" (or, if not `higher`, below) from an interval of it."""
    if low > 0 or high < 0:
        return SUPPORTED if (low > 0) == higher else CONTRADICTED
    return NOT_RESOLVED  # also for NaN


def _compare(
    claim: Claim, measurement: Measurement, setting: str, ae: Sequence[float | None], vae: Sequence[float | None]
) -> Verdict:
    ae_values, vae_values = ([value for value in values if value is not None] for values in (ae, vae))
    difference, low, high = difference_interval(ae_values, vae_values)
    if None in ae or None in vae:  # a diverged run is not a number, and the others do not stand for it
        low = high = math.nan
    return Verdict(
        claim.text, measurement.text, setting, _mean_sd(ae_values), _mean_sd(vae_values), difference, low, high,
        judge(low, high, measurement.higher), measurement.figure,
    )  # fmt: skip


def _slope(measurement: Measurement, setting: str, points: np.ndarray) -> Verdict:
    fit = scipy.stats.linregress(points[:, 0], points[:, 1])
    reach = float(scipy.stats.t.ppf(0.975, len(points) - 2) * fit.stderr)
    low, high = fit.slope - reach, fit.slope + reach
    return Verdict(
        DOSE_RESPONSE.text, measurement.text, setting, "–", "–", float(fit.slope), low, high,
        judge(low, high, measurement.higher), measurement.figure,
    )  # fmt: skip


def _mean_sd(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2g}"
