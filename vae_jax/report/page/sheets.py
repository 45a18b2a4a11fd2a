"""Many small images as one picture of the page, from which digits.js cuts them again, and their classes."""

import base64
import io
import math
from typing import Any, Literal

import numpy as np
from PIL import Image

from vae_jax.data import Dataset
from vae_jax.measure.subsets import subset


def sheet(images: np.ndarray, columns: int | None = None, kind: Literal["PNG", "WEBP"] = "PNG") -> dict[str, Any]:
    """Puts images in rows into one picture, JSON-ready.

    Args:
        images: uint8[N, H, W] or [N, H, W, 3], or floats in [0, 1].
        columns: images in a row; None for about a square.
        kind: PNG keeps every pixel, WEBP is smaller.
    """
    if images.dtype != np.uint8:
        images = np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
    count, height, width, *channels = images.shape
    columns = columns or math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    whole = np.zeros((rows * columns, height, width, *channels), np.uint8)
    whole[:count] = images
    whole = whole.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    whole = whole.reshape(rows * height, columns * width, *channels)
    content = io.BytesIO()
    options: dict[str, Any] = {"optimize": True} if kind == "PNG" else {"quality": 60, "method": 6}
    Image.fromarray(whole).save(content, kind, **options)
    return {
        "uri": f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode('ascii')}",
        "count": count,
        "columns": columns,
        "shape": [height, width, *channels],
    }


def classes(dataset: Dataset, count: int) -> dict[str, Any]:
    """The labels of `count` test images, those of `subset`, and the names of their classes by label; None without."""
    if dataset.test.labels is None:
        return {"labels": None, "names": None}
    labels, names = subset(dataset.test.labels, count).tolist(), dataset.classes
    return {"labels": labels, "names": {label: names[label] for label in sorted(set(labels))}}
