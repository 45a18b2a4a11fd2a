"""What single dimensions know of the factors that the images were generated from, where these are known."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.measure.factors import known_shares
from vae_jax.report.figures import plots
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.panels import Drawing, draw_panels, figure

MAX_ROWS = 16  # dimensions of a map
LEAST = 0.1  # of a factor's entropy, that a dimension must know to be named after it
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Known(NamedTuple):
    """What the dimensions of a run's mean codes know of the factors of test images."""

    names: list[str]  # of K factors that vary
    shares: np.ndarray  # float[D, K], mutual information as a share of the factor's entropy; NaN for a bad run


@figure
def factor_map(inputs: Inputs) -> Drawing | None:
    """What each dimension knows of each factor.

    Mutual information of each dimension of the mean codes and each factor that the test images were generated from, in
    percent of the factor's entropy. Dimensions stand in falling order of their KL, or of their variance where there is
    no KL. Where a row and a column have one bright cell, a single dimension follows a single factor; a row without any
    is a dimension that is not used. Few images make dark cells brighter than they are. Above stands the mutual
    information gap: what the brightest cell of a column is above the second, as a mean over columns.
    """
    chosen = inputs.choose()
    known = {config: found for config in chosen.configs if (found := known_factors(inputs, config))}

    def draw(config: Config, ax: Axes) -> str:
        order = by_kl(inputs, config)[:MAX_ROWS]
        plots.share_map(ax, known[config].shares[order], [dimension_name(d) for d in order], known[config].names)
        gap = inputs.numbers.get(config, {}).get("mig")
        return "" if gap is None else f"gap {gap:.2f}"

    chosen = chosen._replace(configs=list(known))
    rows = max((min(MAX_ROWS, len(found.shares)) for found in known.values()), default=0)
    return draw_panels(inputs, chosen, {"": draw}, (3.0, 0.9 + 0.24 * rows))


def known_factors(inputs: Inputs, config: Config) -> Known | None:
    """Returns what a run's dimensions know of the factors that vary; None if the data set does not know its factors."""
    codes = inputs.codes(config).mean
    factors = inputs.test(config, len(codes)).factors
    if factors is None or not (varies := np.ptp(factors, axis=0) > 0).any():
        return None
    every = inputs.dataset(config).provenance["factor_names"]
    names = [name for name, is_varying in zip(every, varies, strict=True) if is_varying]
    return Known(names, known_shares(codes, factors[:, varies]))


def by_kl(inputs: Inputs, config: Config) -> np.ndarray:
    """Returns the dimensions int[D] of a run in falling order of their KL, or without a KL of the codes' variance."""
    kl = inputs.numbers.get(config, {}).get("test_kl_per_dimension")
    return np.argsort(-(inputs.codes(config).mean.var(axis=0) if kl is None else np.array(kl)), kind="stable")


def dimension_name(dimension: int) -> str:
    """Returns `z₁` for dimension 0."""
    return f"z{dimension + 1}".translate(SUBSCRIPTS)


def named_after(known: Known | None, dimension: int) -> str:
    """Returns `z₁ size`, where the dimension knows `LEAST` of a factor, and otherwise `z₁`."""
    name = dimension_name(dimension)
    if known is None or not known.shares[dimension].max() >= LEAST:  # or NaN
        return name
    return f"{name} {known.names[known.shares[dimension].argmax()]}"
