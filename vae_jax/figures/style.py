"""The look of every figure, whatever matplotlib's settings are; figures as bytes; the check of what is drawn.

Figures are made without pyplot: they need no display and can be drawn in any thread.
"""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
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

# matplotlib's own defaults, without what chooses a backend.
_DEFAULTS: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
# For a figure 9 inches wide that is printed 7 inches wide: no text is smaller than 7 points.
_LOOK: dict[Any, Any] = {
    "figure.constrained_layout.h_pad": 0.08, "figure.constrained_layout.w_pad": 0.08,
    "savefig.dpi": DPI, "pdf.fonttype": 42, "lines.markersize": 4.5,
    "font.size": 11, "axes.titlesize": 12, "figure.titlesize": 12, "xtick.labelsize": 10, "ytick.labelsize": 10,
    "legend.fontsize": 9.5, "legend.title_fontsize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
    "text.parse_math": False,  # the name of a data set may hold dollar signs
}  # fmt: skip
# What would tell when and with what a file was made.
_METADATA = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
_lock = threading.RLock()  # rcParams are global


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Gives everything drawn inside the context the project's look; one thread at a time."""
    with _lock, warnings.catch_warnings(), matplotlib.rc_context():
        # The name of a data set may be in a script that the font does not have.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        matplotlib.rcParams.update(_DEFAULTS | _LOOK)
        yield


@in_style()
def new_figure(
    rows: int, columns: int, width: float, height: float, height_ratios: Sequence[float] | None = None
) -> tuple[Figure, np.ndarray]:
    """Makes an empty figure of this size in inches, and returns it with its axes, object[rows, columns]."""
    # A constrained layout can cut off titles of axes that have a fixed aspect; a compressed one does not.
    figure = Figure(figsize=(width, height), layout="compressed")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, height_ratios=height_ratios)


def new_axes(width: float, height: float) -> Axes:
    """Makes a figure with one axes of about this size in inches, and returns the axes."""
    return new_figure(1, 1, width, height)[1][0, 0]


@in_style()
def render(figure: Figure, suffix: Literal["png", "pdf"]) -> bytes:
    """Renders a figure as PNG (300 dpi) or PDF; equal figures give equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format=suffix, dpi=DPI, metadata=_METADATA[suffix])
    return content.getvalue()


def as_array(name: str, value: ArrayLike, *shape: int | str) -> np.ndarray:
    """Converts a value to float64; ValueError unless it has this shape, where a letter stands for any size but 0."""
    array = np.asarray(value, float)
    fits = array.ndim == len(shape) and array.size > 0
    if not fits or any(want not in (size, str(want)) for want, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape [{', '.join(map(str, shape))}], not {list(array.shape)}")
    return array


def as_arrays(name: str, values: Mapping[str, ArrayLike], *shape: int | str) -> dict[str, np.ndarray]:
    """Converts and checks an array per label, as `as_array` does."""
    return {label: as_array(f"{name}[{label!r}]", value, *shape) for label, value in values.items()}
