"""A trained run as JSON: its parameters, the codes of some images, and what its samplers need.

Parameters are rounded to float16, which halves the page, and compressed. On the quickstart's runs that moves no pixel
by more than 0.002, half a grey level; int8, with a scale per column, moves pixels of an AE by 0.13. Where a page shall
hold many runs they are coarser: with fewer bits of the fraction they take 60 % of that, and the decodes of the codes of
test digits move by 0.01 at most (two latent dimensions; root mean square 0.0005).
"""

import base64
import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from vae_jax.measure.samples import FULL_DIMS, NUM_COMPONENTS, codes_to_fit, fit_mixture, principal_axes
from vae_jax.model.objectives import gaussian_kl
from vae_jax.models import MODELS
from vae_jax.training.runs import Codes, TrainedRun, trained_run

LARGEST = float(np.finfo(np.float16).max)
FRACTION = 10  # bits of a float16
COARSE = {"encoder": 3, "decoder": 6}  # bits that are kept of them; an encoder only places what a reader draws
SEED = 0  # of the fitted samplers and the codes they are fitted to


class Packed(NamedTuple):
    """A run as the page takes it."""

    content: dict[str, Any]  # JSON-ready
    error: float  # the largest difference of a pixel, on the codes of the images, that rounding makes
    codes: np.ndarray  # float32[N, D], the means


def encode_array(array: np.ndarray, dtype: str = "<f4") -> str:
    """Returns an array's values as base64, in C order; `dtype` with its byte order."""
    return base64.b64encode(array.astype(dtype).tobytes()).decode("ascii")


def is_packable(run: TrainedRun) -> bool:
    """Whether all parameters are finite and small enough for float16."""
    return all(bool((np.abs(leaf) <= LARGEST).all()) for leaf in _flat(run).values())  # false for NaN


def rounded(name: str, leaf: Any, coarse: bool) -> np.ndarray:
    """Rounds a parameter, by its path, to float16, and further where it shall be coarse."""
    half = np.asarray(leaf).astype("<f2")
    drop = FRACTION - _bits(name, coarse)
    if drop == 0:
        return half
    bits = half.view("<u2")
    largest = np.uint16(0x7BFF >> drop << drop)  # below infinity
    magnitude = ((bits & 0x7FFF) + np.uint16(1 << (drop - 1))) >> drop << drop
    return (np.minimum(magnitude, largest) | (bits & 0x8000)).astype("<u2").view("<f2")


def packed_size(run: TrainedRun, num_images: int, coarse: bool = False) -> int:
    """Returns about how many bytes a run takes in the page."""
    dims = run.config.latent_dim
    floats = 2 * num_images * dims + (NUM_COMPONENTS + 1) * dims * min(dims, FULL_DIMS)
    # Compression leaves about 4 bits of sign and exponent.
    bits = sum(leaf.size * (4 + _bits(name, coarse)) for name, leaf in _flat(run).items())
    return 4 * (bits // 8 + 4 * floats) // 3 + 2000


@np.errstate(all="ignore")  # codes of a bad run may overflow
def pack(run: TrainedRun, images: np.ndarray, train_images: np.ndarray, coarse: bool = False) -> Packed | None:
    """Packs a run with its codes of some images; None for a bad run, whose codes or decodes are not all finite.

    Args:
        run: whose parameters are packable.
        images: uint8[N, *image_shape], whose codes the page shows.
        train_images: uint8[M, *image_shape], to whose codes a Gaussian and a mixture are fitted.
        coarse: whether the parameters are rounded further, for a page of many runs.
    """
    flat, codes, config = _flat(run), run.encode(images), run.config
    halves = {name: rounded(name, leaf, coarse) for name, leaf in flat.items()}
    widened = jax.tree_util.tree_map_with_path(lambda path, _: halves[_name(path)].astype(np.float32), run.params)
    in_page = trained_run(config, run.program, widened)
    error = float(np.abs(in_page.decode(codes.mean) - run.decode(codes.mean)).max())
    kl, samplers = _kl(codes), _samplers(run, train_images)
    if samplers is None or not np.isfinite([error, *(kl or [])]).all():
        return None
    noise = MODELS[config.model].noise
    content = {
        "name": run.name,
        "model": config.model,
        "title": MODELS[config.model].title,
        "noise": noise,
        "fixed_logvar": float(codes.logvar[0, 0]) if noise == "fixed" and codes.logvar is not None else None,
        "likelihood": config.likelihood,
        "activation": config.activation,
        "binarization": config.binarization,
        "latent_dim": config.latent_dim,
        "image_shape": list(run.program.network.image_shape),
        "params": [[name, list(leaf.shape)] for name, leaf in halves.items()],
        "weights": compress(b"".join(leaf.tobytes() for leaf in halves.values())),
        "mean": encode_array(codes.mean),
        "logvar": encode_array(codes.logvar) if noise == "learned" and codes.logvar is not None else None,
        "kl": kl,
        "axes": encode_array(principal_axes(codes.mean)[2].T[::-1][:2]),
        **samplers,
    }
    return Packed(content, error, codes.mean)


def compress(halves: bytes) -> str:
    """Returns float16 values as base64 of their deflated low bytes, then high bytes.

    Some bytes are more frequent than others, but no sequences are, so that only Huffman's code is of use.
    """
    planes = np.frombuffer(halves, np.uint8).reshape(-1, 2).T.tobytes()
    coder = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
    return base64.b64encode(coder.compress(planes) + coder.flush()).decode("ascii")


def _bits(name: str, coarse: bool) -> int:
    return COARSE[name.partition("/")[0]] if coarse else FRACTION


def _flat(run: TrainedRun) -> dict[str, np.ndarray]:
    """The parameters by their paths, such as `encoder/mean/kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(run.params)
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def _name(path: Any) -> str:
    return "/".join(key.key for key in path)


def _kl(codes: Codes) -> list[float] | None:
    """KL of each latent dimension from N(0, 1), nats, mean over images; None for codes that are points."""
    if codes.logvar is None:
        return None
    kl = np.asarray(gaussian_kl(jnp.asarray(codes.mean), jnp.asarray(codes.logvar)))
    return [float(value) for value in kl.mean(axis=0)]


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
def _samplers(run: TrainedRun, train_images: np.ndarray) -> dict[str, Any] | None:
    """The Gaussian and the mixture of `samples.draw_samplers`, as means and factors F of covariances F Fᵀ.

    A factor is [D, D], or the [D] of its diagonal where the latent space is larger than a full covariance is fitted in.
    None if a code is not finite.
    """
    z, random = codes_to_fit(run, train_images, SEED)
    if not np.isfinite(z).all():
        return None
    if z.shape[1] <= FULL_DIMS:
        center, variances, axes = principal_axes(z)
        factor = axes * np.sqrt(variances)
    else:
        center, factor = z.mean(axis=0), z.std(axis=0)
    gaussian = np.ones(1), center[None], factor[None]
    return {"gaussian": _sampler(*gaussian), "mixture": _sampler(*fit_mixture(z, random["mixture"]).components())}


def _sampler(weights: np.ndarray, means: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    """Components of a mixture: weights [K], means [K, D] and factors [K, D, D] or [K, D]."""
    return {
        "weights": [float(weight) for weight in weights],
        "means": encode_array(means),
        "factors": encode_array(factors),
    }
