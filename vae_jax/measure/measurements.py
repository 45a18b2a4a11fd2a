"""Every number that is measured of a run: its unit, its meaning, and which direction is better.

An entry of `MEASUREMENTS` is the one place that describes a number. The columns of results.csv, the glossary, the
tables and verdicts of the report and the labels of figures follow from it. Standard library only.
"""

from typing import Literal, NamedTuple


class Measurement(NamedTuple):
    """One number of a run."""

    label: str  # a short name for table headings and axes
    unit: str  # empty for a number without one
    better: Literal["higher", "lower"] | None  # None where neither is
    figure: str  # that shows it; empty if none does
    meaning: str  # one sentence that says what is measured
    source: str = ""  # the paper that defines it, if there is one
    kind: type = float  # what evaluation.json holds: `float`, `int`, `bool`, or `list` for a list of floats
    error: str = ""  # what the standard error NAME_error is over, such as "test images"; empty if there is none

    @property
    def heading(self) -> str:
        """The label with its unit, `test distortion (nats per image)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What a glossary says of it beside its meaning: the unit, the better direction, the source and so on."""
        facts = {
            "Unit": self.unit,
            "Better": self.better,
            "Standard error over": self.error,
            "Source": self.source,
        }
        return [(term, fact if fact.endswith((".", "?")) else f"{fact}.") for term, fact in facts.items() if fact]


def _each(variants: list[dict[str, str]], entries: dict[str, Measurement]) -> dict[str, Measurement]:
    """Every entry in every variant: the words in braces are filled in."""
    return {
        name.format(**words): Measurement._make(text.format(**words) if type(text) is str else text for text in entry)
        for words in variants
        for name, entry in entries.items()
    }


def _with_errors(entries: dict[str, Measurement]) -> dict[str, Measurement]:
    """Every entry, followed by its standard error where it has one."""
    found = {}
    for name, entry in entries.items():
        found[name] = entry
        if entry.error:
            meaning = f"Standard error of {name} over {entry.error}."
            found[f"{name}_error"] = Measurement(f"error of the {entry.label}", entry.unit, "lower", "", meaning)
    return found


NATS = "nats per image"
SHARE = "share"
SQUARED_FEATURES = "squared feature distance"
CODE_SD = "standard deviations of all codes"
TEST_IMAGES = "test images"

SAMPLERS = {
    "prior": "N(0, I) samples",
    "standardized": "samples of N(0, I) in standardized codes",
    "gaussian": "samples of the codes' own Gaussian",
    "mixture": "samples of the codes' own mixture",
    "aggregate": "decodes of training codes",
}
"""The distributions codes are sampled from, by the prefix of their numbers' names, with what is sampled."""

_LIKELIHOODS = [
    {"prefix": "test_log_likelihood", "score": "log-likelihood", "caveat": ""},
    {
        "prefix": "test_not_a_likelihood",
        "score": "score that is no likelihood",
        "caveat": " It is no log-likelihood, because p(x | z) is not a density of these pixels.",
    },
]
_STEPS = [{"name": f"step_{length.replace('.', '_')}", "length": length} for length in ("0.1", "0.3", "1.0")]
_SAMPLES = [{"sampler": sampler, "samples": samples} for sampler, samples in SAMPLERS.items()]
_GAPS = [each for each in _SAMPLES if each["sampler"] in ("prior", "standardized")]

_ALEMI = "Alemi et al. 2018, Fixing a Broken ELBO"
_BURDA = "Burda et al. 2016, Importance Weighted Autoencoders"
_HENDRYCKS = "Hendrycks et al. 2019, Deep Anomaly Detection with Outlier Exposure"
_KINGMA = "Kingma & Welling 2014, Auto-Encoding Variational Bayes"
_WANG = "Wang et al. 2009, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances"

MEASUREMENTS: dict[str, Measurement] = _with_errors({
    "validation_elbo": Measurement("validation ELBO", NATS, "higher", "training_curves",
        "ELBO of the validation images after the epoch whose parameters are kept, the last one but for early stopping, "
        "with KL weight 1 whatever the objective weighs.", _KINGMA),
    "validation_distortion": Measurement("validation distortion", NATS, "lower", "training_curves",
        "-log p(x | z) of the validation images, after the same epoch.", _ALEMI),
    "test_loss": Measurement("test loss", NATS, None, "training_curves",
        "The run's own objective on the test images, comparable only between runs of one objective.",
        error=TEST_IMAGES),
    "test_distortion": Measurement("test distortion", NATS, "lower", "reconstructions",
        "-log p(x | z) of the test images, at z drawn from q(z | x), or at the code where it is a point.",
        _ALEMI, error=TEST_IMAGES),
    "mean_image_distortion": Measurement("distortion of the mean image", NATS, None, "",
        "-log p(x) of the test images where each pixel is predicted by its mean over the training images: what a "
        "model knows that looks at no image. A property of the data set and the likelihood."),
    "test_noise_cost": Measurement("cost of the noise", NATS, "lower", "",
        "Distortion at drawn codes minus distortion at mean codes of the test images, as a mean over eight draws; 0 "
        "where a code is a point."),
    "test_mse": Measurement("squared error", "per pixel", "lower", "reconstructions",
        "Mean squared difference per pixel of the decode of the mean code from the grey test image in [0, 1], "
        "which is not what a model trained on binary pixels sees."),
    "test_rate": Measurement("test rate", NATS, None, "rate_distortion",
        "KL divergence of q(z | x) from N(0, I), the most a code can say about its image.", _ALEMI),
    "test_elbo": Measurement("test ELBO", NATS, "higher", "rate_distortion",
        "-(distortion + rate), a lower bound of log p(x) with KL weight 1.", _KINGMA, error=TEST_IMAGES),
    "test_kl_per_dimension": Measurement("KL per dimension", NATS, None, "kl_per_dimension",
        "The rate of each latent dimension.", kind=list),
    "test_active_units": Measurement("active units", "dimensions", None, "kl_per_dimension",
        "Number of latent dimensions whose posterior mean has a variance above 0.01 over the test images.",
        _BURDA, kind=int),
    **_each(_LIKELIHOODS, {
        "{prefix}_sampled": Measurement("sampled {score}", NATS, "higher", "",
            "Importance-weighted lower bound of log p(x), some nats below it; where the exact value is known, that "
            "minus the gap of at most 100 images.{caveat}", _BURDA),
        "{prefix}_sampled_error": Measurement("error of the sampled {score}", NATS, "lower", "",
            "Standard error of the importance-weighted bound over repeated draws, not its distance from "
            "log p(x).{caveat}"),
        "{prefix}_samples": Measurement("samples of the {score}", "samples per image", None, "",
            "Number of importance samples per image.{caveat}", kind=int),
        "{prefix}_exact": Measurement("exact {score}", NATS, "higher", "",
            "log p(x) by quadrature, for one or two latent dimensions: the mean over the images that it resolves."
            "{caveat}"),
        "{prefix}_exact_share": Measurement("images of the exact {score}", SHARE, None, "",
            "Share of images whose log p(x) the quadrature resolves; the exact value and the cost of inference are of "
            "these images, and of none below 0.99.{caveat}"),
    }),
    "test_posterior_kl": Measurement("cost of inference", NATS, "lower", "",
        "log p(x) - ELBO = KL divergence of q(z | x) from p(z | x): what amortized Gaussian inference costs.",
        "Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders"),
    "posterior_width": Measurement("width of q(z | x)", CODE_SD, None, "posteriors",
        "Root mean variance of q(z | x); 0 where a code is a point."),
    "kl_prior_knn": Measurement("KL of all codes to N(0, I), includes scale", "nats", None, "latent_space",
        "KL divergence of all codes from N(0, I), estimated by nearest neighbours; of point codes it is mostly their "
        "scale, which nothing sets.", _WANG),
    "negentropy": Measurement("KL of all codes to their own Gaussian", "nats", "lower", "latent_space",
        "KL divergence of all codes from the Gaussian with their mean and covariance, estimated by nearest neighbours: "
        "their shape without their scale. A collapsed model has none.", _WANG),
    "gaussian_hole_mass": Measurement("samples of the codes' own Gaussian in holes", SHARE, "lower", "holes",
        "Share of samples of the codes' own Gaussian where the density of all training codes is below the level that "
        "holds 95 % of them; 0.05 for codes that are Gaussian, as those of a collapsed model.",
        "after Rosca et al. 2018, Distribution Matching in Variational Inference", error="draws"),
    "knn_accuracy_whitened": Measurement("accuracy of 10 nearest whitened codes", SHARE, "higher", "latent_space",
        "Share of test codes whose ten nearest training codes vote for their label, with codes whitened, so that every "
        "direction in which they vary counts alike.", error=TEST_IMAGES),
    "cycle_error": Measurement("cycle error", CODE_SD, "lower", "",
        "Mean distance of a sample of the codes' own Gaussian from the code of its decode."),
    **_each(_STEPS, {
        "{name}_change": Measurement("change of the decode over {length} sd", "variances of all decodes", "lower",
            "manifold", "Mean squared change of the decode over a step of {length} standard deviations of all codes "
            "in each dimension, from draws of q(z), over the variance of their decodes; 2 for decodes of two "
            "independent codes. A model that was hardly trained has small ones."),
    }),
    "reconstruction_implausible": Measurement("implausible reconstructions", SHARE, "lower", "plausibility",
        "Share of decodes of the mean codes of test images that the judge rejects.", _HENDRYCKS),
    "midpoint_implausible": Measurement("implausible midpoints", SHARE, "lower", "interpolations",
        "Share of decodes halfway between two test codes that the judge rejects.", _HENDRYCKS),
    "midpoint_implausible_excess": Measurement("excess of implausible midpoints", SHARE, "lower", "interpolations",
        "Share of implausible midpoints minus that of the run's own reconstructions, which rewards bad "
        "reconstructions: to be read beside them."),
    **_each(_SAMPLES, {
        "{sampler}_frechet": Measurement("Fréchet distance of {samples}", SQUARED_FEATURES, "lower", "ladder",
            "Squared Fréchet distance of {samples} from the test images, in the features of the judge.",
            "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, with another network"),
        "{sampler}_coverage": Measurement("coverage of {samples}", SHARE, "higher", "ladder",
            "Share of test images that have {samples} in their 5-neighbour ball.",
            "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"),
        "{sampler}_implausible": Measurement("implausible {samples}", SHARE, "lower", "plausibility",
            "Share of {samples} that the judge rejects.", _HENDRYCKS),
    }),
    **_each(_GAPS, {
        "{sampler}_gap": Measurement("gap of {samples}", SQUARED_FEATURES, "lower", "ladder",
            "Squared Fréchet distance of {samples} minus that of decodes of training codes: what is lost by not "
            "knowing the codes. Samples that are bad wherever they come from have a small one."),
    }),
    "classifier_accuracy": Measurement("accuracy of the judge", SHARE, None, "",
        "Share of the test images whose class the judge tells; a property of the data set and not of the run."),
    "frechet_floor": Measurement("floor of the Fréchet distance", SQUARED_FEATURES, None, "",
        "Fréchet distance of as many training images from the test images, below which no sampler can be expected."),
    "train_seconds": Measurement("training time", "s", None, "", "Wall-clock time of training."),
    "diverged_epoch": Measurement("diverged in epoch", "", None, "",
        "Epoch in which the loss of the run stopped being finite.", kind=int),
})  # fmt: skip

RECORD_KEYS = ("evaluation", "failed")
"""Keys of evaluation.json that are no measurements."""
