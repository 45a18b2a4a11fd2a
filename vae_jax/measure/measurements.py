"""Every number of a run: the entries that stand beside the code that computes them, in the order of results.csv.

The columns of results.csv, the glossary, the tables and verdicts of the report and the labels of figures follow.
"""

from vae_jax.measure import density, factors, latents, likelihood, samples
from vae_jax.measure.entry import ALEMI, KINGMA, NATS, Measurement

VALIDATION = {
    "validation_elbo": Measurement("validation ELBO", NATS, "higher", "training_curves",
        "ELBO of the validation images after the epoch whose parameters are kept, the last one but for early stopping, "
        "with KL weight 1 whatever the objective weighs.", KINGMA),
    "validation_distortion": Measurement("validation distortion", NATS, "lower", "training_curves",
        "-log p(x | z) of the validation images, after the same epoch.", ALEMI),
}  # fmt: skip

TRAINING = {
    "train_seconds": Measurement("training time", "s", None, "", "Wall-clock time of training."),
    "diverged_epoch": Measurement("diverged in epoch", "", None, "",
        "Epoch in which the loss of the run stopped being finite.", kind=int),
}  # fmt: skip


def _with_errors(entries: dict[str, Measurement]) -> dict[str, Measurement]:
    """Every entry, followed by its standard error where it has one."""
    found = {}
    for name, entry in entries.items():
        found[name] = entry
        if entry.error:
            meaning = f"Standard error of {name} over {entry.error}."
            found[f"{name}_error"] = Measurement(f"error of the {entry.label}", entry.unit, "lower", "", meaning)
    return found


MEASUREMENTS = _with_errors(
    VALIDATION
    | likelihood.MEASUREMENTS
    | latents.DISTRIBUTION
    | density.MEASUREMENTS
    | latents.GEOMETRY
    | factors.MEASUREMENTS
    | samples.MEASUREMENTS
    | TRAINING
)
