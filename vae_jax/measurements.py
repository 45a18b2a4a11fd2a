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
    margin: float | None = None  # the smallest difference that matters, in the unit; None where no claim compares
    margin_reason: str = ""  # why a smaller difference does not matter
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
            "Differences matter from": "" if self.margin is None else f"{self.margin:g}. {self.margin_reason}",
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
_HOLES = [{"sampler": sampler, "samples": SAMPLERS[sampler]} for sampler in ("prior", "gaussian")]
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
_WANG = "Wang et al. 2009, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances"

_ONE_NAT = "One nat is the spread of independent reproductions of a published VAE."
_ONE_PERCENT = "One of a hundred images; the error of a thousand test images."

_EXCESS_REASON = "Two shares of 1,000 images each differ by up to 0.03 by chance."

MEASUREMENTS: dict[str, Measurement] = _with_errors({
    "validation_elbo": Measurement("validation ELBO", NATS, "higher", "training_curves",
        "ELBO of the validation images after the epoch whose parameters are kept, the last one but for early stopping, "
        "with KL weight 1 whatever the objective weighs.", _KINGMA),
    "validation_distortion": Measurement("validation distortion", NATS, "lower", "training_curves",
        "-log p(x | z) of the validation images, after the same epoch.", _ALEMI),
    "test_loss": Measurement("test loss", NATS, "lower", "training_curves",
        "The run's own objective on the test images, comparable only between runs of one objective.",
        error=TEST_IMAGES),
    "test_distortion": Measurement("test distortion", NATS, "lower", "reconstructions",
        "-log p(x | z) of the test images, at z drawn from q(z | x), or at the code where it is a point.",
        _ALEMI, margin=1.0, margin_reason=_ONE_NAT, error=TEST_IMAGES),
    "test_distortion_mean_code": Measurement("test distortion of the mean code", NATS, "lower", "reconstructions",
        "-log p(x | z) of the test images at the mean of q(z | x): the distortion without the noise of the draw.",
        margin=1.0, margin_reason=_ONE_NAT, error=TEST_IMAGES),
    "test_noise_cost": Measurement("cost of the noise", NATS, "lower", "",
        "Distortion at drawn codes, eight for each test image, minus distortion at its mean code; 0 where a code is a "
        "point.",
        margin=0.5, margin_reason="Half a nat is less than a factor of two in the likelihood of an image.",
        error=TEST_IMAGES),
    "test_mse": Measurement("squared error", "per pixel", "lower", "reconstructions",
        "Mean squared difference per pixel of the decode of the mean code from the grey test image in [0, 1], "
        "which is not what a model trained on binary pixels sees.",
        margin=0.0005, margin_reason="1 % of what two latent dimensions leave of MNIST, 0.05.", error=TEST_IMAGES),
    "test_rate": Measurement("test rate", NATS, None, "rate_distortion",
        "KL divergence of q(z | x) from N(0, I), the most a code can say about its image.", _ALEMI,
        error=TEST_IMAGES),
    "test_elbo": Measurement("test ELBO", NATS, "higher", "rate_distortion",
        "-(distortion + rate), a lower bound of log p(x) with KL weight 1.", _KINGMA, error=TEST_IMAGES),
    "test_mutual_information": Measurement("mutual information", NATS, None, "",
        "What a code says about which image it encodes, a lower bound that is at most the logarithm of the number of "
        "test and training images in q(z).", _HOFFMAN),
    "test_mutual_information_bound": Measurement("upper bound of the mutual information", NATS, None, "",
        "The same with an image's own posterior left out of q(z), an upper bound, or the rate where that is less.",
        "Poole et al. 2019, On Variational Bounds of Mutual Information"),
    "test_mutual_information_saturated": Measurement("mutual information saturated", "", None, "",
        "Whether the mutual information is within 1 nat of the most it can be, so that it means \"at least\".",
        kind=bool),
    "test_marginal_kl": Measurement("marginal KL", "nats", "lower", "latent_space",
        "KL divergence of all codes, q(z), from N(0, I): the rate minus the mutual information, an upper bound and "
        "far off where that is saturated.", _HOFFMAN),
    "test_kl_per_dimension": Measurement("KL per dimension", NATS, None, "kl_per_dimension",
        "The rate of each latent dimension.", kind=list),
    "test_active_units": Measurement("active units", "dimensions", None, "kl_per_dimension",
        "Number of latent dimensions whose posterior mean has a variance above 0.01 over the test images.",
        _BURDA, kind=int),
    **_each(_LIKELIHOODS, {
        "{prefix}_sampled": Measurement("sampled {score}", NATS, "higher", "",
            "Importance-weighted lower bound of log p(x); where the exact value is known, that minus the gap.{caveat}",
            _BURDA),
        "{prefix}_sampled_error": Measurement("error of the sampled {score}", NATS, "lower", "",
            "Standard error of the importance-weighted bound over repeated draws, not its distance from "
            "log p(x).{caveat}"),
        "{prefix}_sampled_low_ess": Measurement("low sample sizes of the sampled {score}", SHARE, "lower", "",
            "Share of images whose importance weights are worth fewer than five samples.{caveat}"),
        "{prefix}_sampled_gap": Measurement("gap of the sampled {score}", NATS, "lower", "",
            "log p(x) by quadrature minus the importance-weighted bound, for one or two latent dimensions; the mean "
            "over at most 100 images.{caveat}"),
        "{prefix}_samples": Measurement("samples of the {score}", "samples per image", None, "",
            "Number of importance samples per image.{caveat}", kind=int),
        "{prefix}_images": Measurement("images of the {score}", "images", None, "",
            "Number of test images whose log p(x) is estimated; all but for large decoders.{caveat}", kind=int),
        "{prefix}_exact": Measurement("exact {score}", NATS, "higher", "",
            "log p(x) by quadrature, for one or two latent dimensions.{caveat}"),
        "{prefix}_exact_error": Measurement("error of the exact {score}", NATS, "lower", "",
            "Mean absolute change of log p(x) with half the points along each axis of the quadrature, far more than "
            "its error.{caveat}"),
        "{prefix}_exact_share": Measurement("images of the exact {score}", SHARE, "higher", "",
            "Share of images whose log p(x) the quadrature resolves; the exact value, the gap and the cost of "
            "inference are of these images, and of none below 0.99.{caveat}"),
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
    "kl_prior_knn": Measurement("KL of all codes to N(0, I), includes scale", "nats", "lower", "latent_space",
        "KL divergence of all codes from N(0, I), estimated by nearest neighbours; of point codes it is mostly their "
        "scale, which nothing sets.", _WANG,
        margin=0.1, margin_reason="Estimates from 1,000 codes differ by about as much."),
    "negentropy": Measurement("KL of all codes to their own Gaussian", "nats", "lower", "latent_space",
        "KL divergence of all codes from the Gaussian with their mean and covariance, estimated by nearest neighbours: "
        "their shape without their scale.", _WANG, margin=0.05,
        margin_reason="Twice the estimator's own spread over draws, 0.012 to 0.022 nats."),
    **_each(_HOLES, {
        "{sampler}_hole_mass": Measurement("{samples} in holes", SHARE, "lower", "holes",
            "Share of {samples} where the density of all training codes is below the level that holds 95 % of them; "
            "0.05 for the codes themselves.", "after Rosca et al. 2018, Distribution Matching in Variational Inference",
            margin=0.02, margin_reason="Two of a hundred samples; twice the error of the draws above two dimensions.",
            error="draws"),
    }),
    "knn_accuracy": Measurement("accuracy of 10 nearest codes", SHARE, "higher", "latent_space",
        "Share of test codes whose ten nearest training codes vote for their label.",
        margin=0.01, margin_reason=_ONE_PERCENT, error=TEST_IMAGES),
    "knn_accuracy_whitened": Measurement("accuracy of 10 nearest whitened codes", SHARE, "higher", "latent_space",
        "The same with codes whitened, so that every direction in which they vary counts alike.",
        margin=0.01, margin_reason=_ONE_PERCENT, error=TEST_IMAGES),
    "silhouette": Measurement("silhouette of the classes", "", "higher", "latent_space",
        "How much nearer whitened codes are to their own class than to the next one, from -1 to 1.",
        "Rousseeuw 1987, Silhouettes", margin=0.02, margin_reason="1 % of its range."),
    "nmi": Measurement("mutual information of k-means and classes", "", "higher", "latent_space",
        "Normalized mutual information of k-means clusters of the whitened codes and the labels, from 0 to 1, as a "
        "mean over starts of k-means.", "Strehl & Ghosh 2002, Cluster Ensembles",
        margin=0.02, margin_reason="2 % of its range; another start of k-means changes it by up to half of that."),
    "nmi_sd": Measurement("spread of the mutual information of k-means and classes", "", None, "",
        "Standard deviation of nmi over five starts of k-means, each the tightest of ten restarts."),
    "cycle_error": Measurement("cycle error", CODE_SD, "lower", "",
        "Mean distance of a sample of the codes' own Gaussian from the code of its decode.",
        margin=0.05, margin_reason="A twentieth of the spread of the codes."),
    **_each(_STEPS, {
        "{name}_change": Measurement("change of the decode over {length} sd", "variances of all decodes", "lower",
            "manifold", "Mean squared change of the decode over a step of {length} standard deviations of all codes "
            "in each dimension, over the total variance of decodes; 2 for decodes of two independent codes.",
            margin=0.02, margin_reason="1 % of what two independent decodes differ by."),
        "{name}_flips": Measurement("class flips over {length} sd", SHARE, "lower", "manifold",
            "Share of decodes whose predicted class changes over a step of {length} standard deviations of all codes "
            "in each dimension.", margin=0.02, margin_reason="Two of a hundred steps.", error=TEST_IMAGES),
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

RECORD_KEYS = ("evaluation", "failed")
"""Keys of evaluation.json that are no measurements."""
