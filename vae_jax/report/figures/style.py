"""The look of every figure, whatever matplotlib's settings are, and its files.

Figures are made without pyplot: they need no display and can be drawn in any thread.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

DPI = 300

# Paul Tol's "muted" scheme, which colour-blind readers can tell apart, and a dark grey as the tenth class.
CLASS_COLORS = to_rgba_array(
    ["#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#555555"]
)
# Paul Tol's "high-contrast" scheme, which survives a grey print, and two more. Five colours and four line styles share
# no factor, so twenty series look different.
SERIES_COLORS = ("#004488", "#BB5566", "#DDAA33", "#000000", "#44AA99")
SERIES_LINES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))


class Look(NamedTuple):
    """How a series is drawn."""

    color: Any
    linestyle: str
    marker: str


# No figure is wider than 10 inches. Printed 7 inches wide, it has no text smaller than 6.5 points.
_LOOK: dict[Any, Any] = {
    "figure.constrained_layout.h_pad": 0.08, "figure.constrained_layout.w_pad": 0.12,
    "savefig.bbox": "tight", "pdf.fonttype": 42, "svg.hashsalt": "vae_jax", "lines.markersize": 4.5,
    "font.size": 10.5, "axes.titlesize": 11, "figure.titlesize": 11, "xtick.labelsize": 9.5, "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5, "legend.title_fontsize": 9.5, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False,
    "text.parse_math": False,  # the name of a data set may hold dollar signs
}  # fmt: skip
# What would tell when and with what a file was made.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
_lock = threading.RLock()  # rcParams are global


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Gives everything drawn inside the context the project's look; one thread at a time."""
    with _lock, warnings.catch_warnings(), matplotlib.rc_context():
        # The name of a data set may be in a script that the font does not have.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def new_figure(
    rows: int, columns: int, width: float, height: float, height_ratios: Sequence[float] | None = None,
    width_ratios: Sequence[float] | None = None,
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """Makes an empty figure of this size in inches, and returns it with its axes, object[rows, columns]."""
    # A constrained layout can cut off titles of axes that have a fixed aspect; a compressed one does not.
    figure = Figure(figsize=(width, height), layout="compressed")
    return figure, figure.subplots(rows, columns, squeeze=False, height_ratios=height_ratios, width_ratios=width_ratios)


def render(figure: Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """Renders a figure in some of `FIGURE_FORMATS`, without empty margins; equal figures give equal bytes."""
    figure.draw_without_rendering()  # finds the layout, once for all files
    figure.set_layout_engine("none")
    files = {suffix: io.BytesIO() for suffix in formats}
    for suffix, file in files.items():
        figure.savefig(file, format=suffix, dpi=DPI, metadata=_METADATA[suffix])
    return {suffix: file.getvalue() for suffix, file in files.items()}


def ordered_colors(values: ArrayLike) -> np.ndarray:
    """Returns a colour float[4] per value, from dark to light by rank; equal values have one colour."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return matplotlib.colormaps["cividis"](np.linspace(0, 0.85, len(distinct)))[ranks]
