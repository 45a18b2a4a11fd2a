"""Checks of the arrays that are drawn."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike


def as_array(name: str, value: ArrayLike, *shape: int | str) -> np.ndarray:
    """Converts a value to float64 and checks its shape.

    Args:
        name: of the argument, for the message.
        value: array-like.
        *shape: the size of each axis; a letter stands for any size but 0.

    Raises:
        ValueError: the value has another shape.
    """
    array = np.asarray(value)
    fits = array.ndim == len(shape) and array.size > 0
    if not fits or any(want not in (size, str(want)) for want, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape [{', '.join(map(str, shape))}], not {list(array.shape)}")
    return array.astype(float)


def as_arrays(name: str, values: Mapping[str, ArrayLike], *shape: int | str) -> dict[str, np.ndarray]:
    """Converts and checks an array per label, as `as_array` does; there must be at least one."""
    if not values:
        raise ValueError(f"{name} must hold at least one label")
    return {label: as_array(f"{name}[{label!r}]", value, *shape) for label, value in values.items()}
