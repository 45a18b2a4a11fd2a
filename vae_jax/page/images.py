"""Figures as images inside the page."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from vae_jax.workdir import UserError

MAX_SIZE = (1800, 8000)  # width and height of an embedded image, pixels; the whole figure lies beside the report
WEBP_QUALITY = 90  # looks like lossless at a quarter to a half of the bytes
CSS_PIXELS_PER_PIXEL = 96 / 300  # figures are saved at 300 dpi; at their size in inches all have text of one size


class Embedded(NamedTuple):
    """An image as a data URI."""

    uri: str
    width: int
    """Width at which it is shown, CSS pixels."""
    height: int


def embed(path: Path) -> Embedded:
    """Reads an image file and compresses it into a data URI.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except FileNotFoundError:
        raise UserError(f"the figure {path} is missing; launch again to draw it") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise UserError(f"the figure {path} cannot be read ({error}); launch again to draw it") from error
    width, height = (round(side * CSS_PIXELS_PER_PIXEL) for side in image.size)
    image.thumbnail(MAX_SIZE)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=WEBP_QUALITY)
    return Embedded(f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}", width, height)
