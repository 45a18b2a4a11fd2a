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
    margin: float | None = None  # the smallest difference that matters, in the unit; None where none is stated
    margin_reason: str = ""  # why a smaller difference does not matter
    error: str = ""  # what the standard error NAME_error is over, such as "test images"; empty if there is none

    @property
    def heading(self) -> str:
        """The label with its unit, `test distortion (nats per image)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


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

SAMPLERS = {
    "prior": "N(0, I) samples",
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
_SAMPLES = [
    {"sampler": sampler, "samples": samples, "figure": "samples" if sampler == "prior" else "samplers"}
    for sampler, samples in SAMPLERS.items()
]

_ALEMI = "Alemi et al. 2018, Fixing a Broken ELBO"
_BURDA = "Burda et al. 2016, Importance Weighted Autoencoders"
_HENDRYCKS = "Hendrycks et al. 2019, Deep Anomaly Detection with Outlier Exposure"
_HOFFMAN = "Hoffman & Johnson 2016, ELBO Surgery"
_KINGMA = "Kingma & Welling 2014, Auto-Encoding Variational Bayes"
_KYNKAANNIEMI = "Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models"
_NAEEM = "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"

_EXCESS_REASON = "Two shares of 1,000 images each differ by up to 0.03 by chance."

MEASUREMENTS: dict[str, Measurement] = _with_errors({
    "validation_elbo": Measurement("validation ELBO", NATS, "higher", "training_curves",
        "ELBO of the validation images after the last epoch, with KL weight 1 whatever the objective weighs.", _KINGMA),
    "test_loss": Measurement("test loss", NATS, "lower", "training_curves",
        "The run's own objective on the test images, comparable only between runs of one objective."),
    "test_distortion": Measurement("test distortion", NATS, "lower", "reconstructions",
        "-log p(x | z) of the test images, at z drawn from q(z | x), or at the code where the model has no variance.",
        _ALEMI),
    "test_mse": Measurement("squared error", "per pixel", "lower", "reconstructions",
        "Mean squared error per pixel of the decode of the mean code."),
    "test_rate": Measurement("test rate", NATS, None, "rate_distortion",
        "KL divergence of q(z | x) from N(0, I), the most a code can say about its image.", _ALEMI),
    "test_elbo": Measurement("test ELBO", NATS, "higher", "rate_distortion",
        "-(distortion + rate), a lower bound of log p(x) with KL weight 1.", _KINGMA),
    "test_mutual_information": Measurement("mutual information", NATS, None, "",
        "What a code says about which test image it encodes; at most the logarithm of the number of images.", _HOFFMAN),
    "test_marginal_kl": Measurement("marginal KL", "nats", "lower", "latent_space",
        "KL divergence of all codes, q(z), from N(0, I): the rate minus the mutual information.", _HOFFMAN),
    "test_kl_per_dimension": Measurement("KL per dimension", NATS, None, "kl_per_dimension",
        "The rate of each latent dimension.", kind=list),
    "test_active_units": Measurement("active units", "dimensions", None, "kl_per_dimension",
        "Number of latent dimensions whose posterior mean has a variance above 0.01 over the test images.",
        _BURDA, kind=int),
    **_each(_LIKELIHOODS, {
        "{prefix}_sampled": Measurement("sampled {score}", NATS, "higher", "",
            "Importance-weighted lower bound of log p(x).{caveat}", _BURDA),
        "{prefix}_sampled_error": Measurement("error of the sampled {score}", NATS, "lower", "",
            "Standard error of the importance-weighted bound.{caveat}"),
        "{prefix}_sampled_resolved": Measurement("sampled {score} resolved", "", None, "",
            "Whether every image's importance weights are worth more than five samples.{caveat}", kind=bool),
        "{prefix}_samples": Measurement("samples of the {score}", "samples per image", None, "",
            "Number of importance samples per image.{caveat}", kind=int),
        "{prefix}_images": Measurement("images of the {score}", "images", None, "",
            "Number of test images whose log p(x) is estimated; all but for large decoders.{caveat}", kind=int),
        "{prefix}_exact": Measurement("exact {score}", NATS, "higher", "",
            "log p(x) by quadrature, for one or two latent dimensions.{caveat}"),
        "{prefix}_exact_error": Measurement("error of the exact {score}", NATS, "lower", "",
            "Mean absolute change of log p(x) when the step of the quadrature's grid was last halved.{caveat}"),
        "{prefix}_exact_resolved": Measurement("exact {score} resolved", "", None, "",
            "Whether the quadrature converged within its budget of grid points.{caveat}", kind=bool),
    }),
    "test_posterior_kl": Measurement("cost of inference", NATS, "lower", "",
        "log p(x) - ELBO = KL divergence of q(z | x) from p(z | x): what amortized Gaussian inference costs.",
        "Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders"),
    "posterior_width": Measurement("width of q(z | x)", CODE_SD, None, "posteriors",
        "Root mean variance of q(z | x); 0 where a code is a point."),
    "codes_outside_2sd": Measurement("codes outside two standard deviations", SHARE, None, "latent_space",
        "Share of all codes farther from 0 than the radius that holds 86.5 % of N(0, I); 0.135 are expected of it."),
    "mmd_prior": Measurement("MMD² of all codes to N(0, I)", "", "lower", "latent_space",
        "Squared maximum mean discrepancy between all codes and N(0, I).",
        "Gretton et al. 2012, A Kernel Two-Sample Test"),
    "kl_prior_knn": Measurement("KL of all codes to N(0, I)", "nats", "lower", "latent_space",
        "KL divergence of all codes from N(0, I), estimated by nearest neighbours.",
        "Wang et al. 2009, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances"),
    "knn_accuracy": Measurement("accuracy of 10 nearest codes", SHARE, "higher", "latent_space",
        "Share of test codes whose ten nearest training codes vote for their label."),
    "silhouette": Measurement("silhouette of the classes", "", "higher", "latent_space",
        "How much nearer whitened codes are to their own class than to the next one, from -1 to 1.",
        "Rousseeuw 1987, Silhouettes"),
    "nmi": Measurement("mutual information of k-means and classes", "", "higher", "latent_space",
        "Normalized mutual information of k-means clusters of the codes and the labels, from 0 to 1."),
    "cycle_error": Measurement("cycle error", CODE_SD, "lower", "",
        "Mean distance of a code from the code of its decode."),
    **_each(_STEPS, {
        "{name}_change": Measurement("change of the decode over {length} sd", "squared pixels per image", "lower",
            "manifold", "Mean squared change of the decode over a step of {length} standard deviations of all codes."),
        "{name}_flips": Measurement("class flips over {length} sd", SHARE, "lower", "manifold",
            "Share of decodes whose predicted class changes over a step of {length} standard deviations of all codes."),
    }),
    "reconstruction_implausible": Measurement("implausible reconstructions", SHARE, "lower", "plausibility",
        "Share of decodes of the mean codes of test images that the judge of plausibility rejects.",
        _HENDRYCKS, error="test images"),
    "midpoint_implausible": Measurement("implausible midpoints", SHARE, "lower", "interpolations",
        "Share of decodes halfway between two test codes that the judge of plausibility rejects.",
        _HENDRYCKS, error="midpoints"),
    "midpoint_implausible_excess": Measurement("excess of implausible midpoints", SHARE, "lower", "interpolations",
        "Share of implausible midpoints minus that of the run's own reconstructions.",
        margin=0.03, margin_reason=_EXCESS_REASON, error="midpoints and test images"),
    **_each(_SAMPLES, {
        "{sampler}_frechet": Measurement("Fréchet distance of {samples}", SQUARED_FEATURES, "lower", "{figure}",
            "Squared Fréchet distance of {samples} from the test images, in the features of a digit classifier.",
            "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, with another classifier",
            margin=5.0, margin_reason="About the floor: two sets of 1,000 real digits are 4 apart."),
        "{sampler}_frechet_relative": Measurement("relative Fréchet distance of {samples}", "", "lower", "{figure}",
            "Squared Fréchet distance of {samples} over the total variance of the features of test images."),
        "{sampler}_frechet_over_floor": Measurement("Fréchet distance of {samples} over the floor", "floors", "lower",
            "{figure}", "Fréchet distance of {samples} in units of that of as many training images.",
            margin=1.0, margin_reason="The floor itself is the noise of as many images."),
        "{sampler}_kid": Measurement("kernel distance of {samples}", "", "lower", "{figure}",
            "Unbiased squared maximum mean discrepancy of {samples} from the test images, in the same features.",
            "Bińkowski et al. 2018, Demystifying MMD GANs, with another classifier",
            margin=20.0, margin_reason="Its standard error with 1,000 digits.", error="samples"),
        "{sampler}_precision": Measurement("precision of {samples}", SHARE, "higher", "{figure}",
            "Share of {samples} within a 3-neighbour ball of a test image.", _KYNKAANNIEMI),
        "{sampler}_recall": Measurement("recall of {samples}", SHARE, "higher", "{figure}",
            "Share of test images within a 3-neighbour ball of {samples}.", _KYNKAANNIEMI),
        "{sampler}_density": Measurement("density of {samples}", "", "higher", "{figure}",
            "Mean number of 5-neighbour balls of test images around {samples}, over 5; about 1 for real images.",
            _NAEEM),
        "{sampler}_coverage": Measurement("coverage of {samples}", SHARE, "higher", "{figure}",
            "Share of test images that have {samples} in their 5-neighbour ball.", _NAEEM),
        "{sampler}_confidence": Measurement("confidence of {samples}", "", "higher", "{figure}",
            "Mean probability that the classifier gives to the predicted class of {samples}."),
        "{sampler}_class_entropy": Measurement("class entropy of {samples}", "nats", "higher", "{figure}",
            "Entropy of the predicted classes of {samples}; "
            "the logarithm of the number of classes if all are as frequent."),
        "{sampler}_implausible": Measurement("implausible {samples}", SHARE, "lower", "plausibility",
            "Share of {samples} that the judge of plausibility rejects.", _HENDRYCKS, error="samples"),
        "{sampler}_implausible_excess": Measurement("excess of implausible {samples}", SHARE, "lower", "plausibility",
            "Share of implausible {samples} minus that of the run's own reconstructions.",
            margin=0.03, margin_reason=_EXCESS_REASON, error="samples and test images"),
    }),
    "classifier_accuracy": Measurement("accuracy of the classifier", SHARE, None, "",
        "Accuracy of the data set's classifier on the test images; a property of the data set and not of the run."),
    "frechet_floor": Measurement("floor of the Fréchet distance", SQUARED_FEATURES, None, "",
        "Fréchet distance of as many training images from the test images, below which no sampler can be expected."),
    "train_seconds": Measurement("training time", "s", None, "", "Wall-clock time of training."),
    "diverged_epoch": Measurement("diverged in epoch", "", None, "",
        "Epoch in which the loss of the run stopped being finite.", kind=int),
})  # fmt: skip

RECORD_KEYS = ("evaluation", "failed", "classifier_digest", "plausibility_digest")
"""Keys of evaluation.json that are no measurements."""
