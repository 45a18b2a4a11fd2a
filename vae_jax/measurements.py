"""Every number that is measured of a run: its unit, its meaning, and which direction is better.

An entry of `MEASUREMENTS` is the one place that describes a number. The columns of results.csv, the glossary, the
tables and verdicts of the report and the labels of figures follow from it. Standard library only.
"""

from typing import Literal, NamedTuple


class Measurement(NamedTuple):
    """One number of a run."""

    label: str
    """A short name for table headings and axes."""
    unit: str
    """Its unit; empty for a number without one."""
    meaning: str
    """One sentence that says what is measured."""
    better: Literal["higher", "lower"] | None
    """Which direction is better; None where neither is."""
    figure: str = ""
    """The figure that shows it, if there is one."""
    source: str = ""
    """The paper that defines it, if there is one."""
    kind: type = float
    """What evaluation.json holds: `float`, `int`, `bool`, or `list` for a list of floats."""

    @property
    def heading(self) -> str:
        """The label with its unit, `test distortion (nats per image)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


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

_FIGURE_OF_SAMPLER = {"prior": "samples"}  # of the other samplers, `samplers` shows all

_KYNKAANNIEMI = "Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models"
_NAEEM = "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"
_BURDA = "Burda et al. 2016, Importance Weighted Autoencoders"
_HOFFMAN = "Hoffman & Johnson 2016, ELBO Surgery"

# Quantities of each sampler, with {samples} in place of what is sampled.
_QUANTITIES = {
    "{sampler}_frechet": Measurement(
        "Fréchet distance of {samples}", SQUARED_FEATURES,
        "Squared Fréchet distance of {samples} from the test images, in the features of a digit classifier.", "lower",
        source="Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, with another classifier",
    ),
    "{sampler}_precision": Measurement(
        "precision of {samples}", SHARE, "Share of {samples} within a 3-neighbour ball of a test image.", "higher",
        source=_KYNKAANNIEMI,
    ),
    "{sampler}_recall": Measurement(
        "recall of {samples}", SHARE, "Share of test images within a 3-neighbour ball of {samples}.", "higher",
        source=_KYNKAANNIEMI,
    ),
    "{sampler}_density": Measurement(
        "density of {samples}", "",
        "Mean number of 5-neighbour balls of test images around {samples}, over 5; about 1 for real images.", "higher",
        source=_NAEEM,
    ),
    "{sampler}_coverage": Measurement(
        "coverage of {samples}", SHARE, "Share of test images that have {samples} in their 5-neighbour ball.", "higher",
        source=_NAEEM,
    ),
    "{sampler}_confidence": Measurement(
        "confidence of {samples}", "",
        "Mean probability that the classifier gives to the predicted class of {samples}.", "higher",
    ),
    "{sampler}_class_entropy": Measurement(
        "class entropy of {samples}", "nats",
        "Entropy of the predicted classes of {samples}; the logarithm of the number of classes if all are as frequent.",
        "higher",
    ),
    "hole_mass_{sampler}": Measurement(
        "implausible {samples}", SHARE,
        "Share of {samples} that are farther from every training image than 95 % of the test images are.", "lower",
    ),
}  # fmt: skip


def _of_samplers() -> dict[str, Measurement]:
    """Every quantity of every sampler."""
    return {
        name.format(sampler=sampler): quantity._replace(
            label=quantity.label.format(samples=samples),
            meaning=quantity.meaning.format(samples=samples),
            figure="holes" if name.startswith("hole_mass") else _FIGURE_OF_SAMPLER.get(sampler, "samplers"),
        )
        for sampler, samples in SAMPLERS.items()
        for name, quantity in _QUANTITIES.items()
    }


def _of_steps() -> dict[str, Measurement]:
    """What steps of three lengths do to the decode."""
    entries = {}
    for length in ("0.1", "0.3", "1.0"):
        name = f"step_{length.replace('.', '_')}"
        step = f"a step of {length} standard deviations of all codes"
        entries[f"{name}_change"] = Measurement(
            f"change of the decode over {length} sd", "squared pixels per image",
            f"Mean squared change of the decode over {step}.", "lower", "manifold",
        )  # fmt: skip
        entries[f"{name}_flips"] = Measurement(
            f"class flips over {length} sd", SHARE, f"Share of decodes whose predicted class changes over {step}.",
            "lower", "manifold",
        )  # fmt: skip
    return entries


def _of_log_likelihood(prefix: str, label: str, caveat: str) -> dict[str, Measurement]:
    """Estimates of log p(x), under the names for proper densities and for what is none."""
    entries = {
        "sampled": Measurement(
            f"sampled {label}", NATS, "Importance-weighted lower bound of log p(x).", "higher", source=_BURDA
        ),
        "sampled_error": Measurement(
            f"error of the sampled {label}", NATS, "Standard error of the importance-weighted bound.", "lower"
        ),
        "sampled_resolved": Measurement(
            f"sampled {label} resolved", "",
            "Whether every image's importance weights are worth more than five samples.", None, kind=bool,
        ),
        "samples": Measurement(
            f"samples of the {label}", "samples per image", "Number of importance samples per image.", None, kind=int
        ),
        "images": Measurement(
            f"images of the {label}", "images",
            "Number of test images whose log p(x) is estimated; all but for large decoders.", None, kind=int,
        ),
        "exact": Measurement(
            f"exact {label}", NATS, "log p(x) by quadrature, for one or two latent dimensions.", "higher"
        ),
        "exact_error": Measurement(
            f"error of the exact {label}", NATS,
            "Mean absolute change of log p(x) when the step of the quadrature's grid was last halved.", "lower",
        ),
        "exact_resolved": Measurement(
            f"exact {label} resolved", "", "Whether the quadrature converged within its budget of grid points.", None,
            kind=bool,
        ),
    }  # fmt: skip
    return {f"{prefix}_{name}": entry._replace(meaning=entry.meaning + caveat) for name, entry in entries.items()}


MEASUREMENTS: dict[str, Measurement] = {
    "validation_elbo": Measurement(
        "validation ELBO", NATS,
        "ELBO of the validation images after the last epoch, with KL weight 1 whatever the objective weighs.", "higher",
        "training_curves", "Kingma & Welling 2014, Auto-Encoding Variational Bayes",
    ),
    "test_loss": Measurement(
        "test loss", NATS, "The run's own objective on the test images, comparable only between runs of one objective.",
        "lower", "training_curves",
    ),
    "test_distortion": Measurement(
        "test distortion", NATS,
        "-log p(x | z) of the test images, at z drawn from q(z | x), or at the code where the model has no variance.",
        "lower", "reconstructions", "Alemi et al. 2018, Fixing a Broken ELBO",
    ),
    "test_mse": Measurement(
        "squared error", "per pixel", "Mean squared error per pixel of the decode of the mean code.", "lower",
        "reconstructions",
    ),
    "test_rate": Measurement(
        "test rate", NATS, "KL divergence of q(z | x) from N(0, I), the most a code can say about its image.", None,
        "rate_distortion", "Alemi et al. 2018, Fixing a Broken ELBO",
    ),
    "test_elbo": Measurement(
        "test ELBO", NATS, "-(distortion + rate), a lower bound of log p(x) with KL weight 1.", "higher",
        "rate_distortion", "Kingma & Welling 2014, Auto-Encoding Variational Bayes",
    ),
    "test_mutual_information": Measurement(
        "mutual information", NATS,
        "What a code says about which test image it encodes; at most the logarithm of the number of images.", None,
        source=_HOFFMAN,
    ),
    "test_marginal_kl": Measurement(
        "marginal KL", "nats", "KL divergence of all codes, q(z), from N(0, I): the rate minus the mutual information.",
        "lower", "latent_space", _HOFFMAN,
    ),
    "test_kl_per_dimension": Measurement(
        "KL per dimension", NATS, "The rate of each latent dimension.", None, "kl_per_dimension", kind=list
    ),
    "test_active_units": Measurement(
        "active units", "dimensions",
        "Number of latent dimensions whose posterior mean has a variance above 0.01 over the test images.", None,
        "kl_per_dimension", _BURDA, kind=int,
    ),
    **_of_log_likelihood("test_log_likelihood", "log-likelihood", ""),
    **_of_log_likelihood(
        "test_not_a_likelihood", "score that is no likelihood",
        " It is no log-likelihood, because p(x | z) is not a density of these pixels.",
    ),
    "test_posterior_kl": Measurement(
        "cost of inference", NATS,
        "log p(x) - ELBO = KL divergence of q(z | x) from p(z | x): what amortized Gaussian inference costs.", "lower",
        source="Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders",
    ),
    "posterior_width": Measurement(
        "width of q(z | x)", CODE_SD, "Root mean variance of q(z | x); 0 where a code is a point.", None, "posteriors"
    ),
    "codes_outside_2sd": Measurement(
        "codes outside two standard deviations", SHARE,
        "Share of all codes farther from 0 than the radius that holds 86.5 % of N(0, I); 0.135 are expected of it.",
        None, "latent_space",
    ),
    "mmd_prior": Measurement(
        "MMD² of all codes to N(0, I)", "", "Squared maximum mean discrepancy between all codes and N(0, I).", "lower",
        "latent_space", "Gretton et al. 2012, A Kernel Two-Sample Test",
    ),
    "kl_prior_knn": Measurement(
        "KL of all codes to N(0, I)", "nats",
        "KL divergence of all codes from N(0, I), estimated by nearest neighbours.", "lower", "latent_space",
        "Wang et al. 2009, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances",
    ),
    "knn_accuracy": Measurement(
        "accuracy of 10 nearest codes", SHARE,
        "Share of test codes whose ten nearest training codes vote for their label.", "higher", "latent_space",
    ),
    "silhouette": Measurement(
        "silhouette of the classes", "",
        "How much nearer whitened codes are to their own class than to the next one, from -1 to 1.", "higher",
        "latent_space", "Rousseeuw 1987, Silhouettes",
    ),
    "nmi": Measurement(
        "mutual information of k-means and classes", "",
        "Normalized mutual information of k-means clusters of the codes and the labels, from 0 to 1.", "higher",
        "latent_space",
    ),
    "cycle_error": Measurement(
        "cycle error", CODE_SD, "Mean distance of a code from the code of its decode.", "lower"
    ),
    **_of_steps(),
    "midpoint_plausible": Measurement(
        "plausible midpoints", SHARE,
        "Share of decoded midpoints of two test codes that are as near to a training image as 95 % of the test images.",
        "higher", "interpolations",
    ),
    **_of_samplers(),
    "classifier_accuracy": Measurement(
        "accuracy of the classifier", SHARE,
        "Accuracy of the data set's classifier on the test images; a property of the data set and not of the run.",
        None,
    ),
    "frechet_floor": Measurement(
        "floor of the Fréchet distance", SQUARED_FEATURES,
        "Fréchet distance of as many training images from the test images, below which no sampler can be expected.",
        None,
    ),
    "train_seconds": Measurement("training time", "s", "Wall-clock time of training.", None),
    "diverged_epoch": Measurement(
        "diverged in epoch", "", "Epoch in which the loss of the run stopped being finite.", None, kind=int
    ),
}  # fmt: skip

RECORD_KEYS = ("evaluation", "failed", "classifier_digest")
"""Keys of evaluation.json that are no measurements."""
