"""The difference between an autoencoder and a variational autoencoder: two short functions, and those in between.

| model    | code                      | penalty                                               |
| -------- | ------------------------- | ----------------------------------------------------- |
| `ae`     | point                     | none                                                  |
| `rae`    | point                     | kl_weight · ½‖z‖² + decoder_l2 · ‖decoder's kernels‖² |
| `cv_vae` | point + noise of one size | kl_weight · ½‖mean‖²                                  |
| `vae`    | mean + learned noise      | kl_weight · KL from N(0, I)                           |

A function under `@model` is all that a model needs: a batch in, arrays out, one value per image; the training step
averages over the images that count. Sums run over pixels and over latent dimensions, so every value is in nats per
image.

References:
    Kingma & Welling 2014, "Auto-Encoding Variational Bayes" (arXiv:1312.6114).
    Higgins et al. 2017, "beta-VAE" (the weight of the KL term).
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519).
    Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (arXiv:1903.12436).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from vae_jax.model.likelihoods import NegativeLogLikelihood, Reconstruction
from vae_jax.models import MODELS, model

MAX_DECODED_PIXELS = 1 << 23  # that `iwae_objective` decodes at once: an array of them takes 32 MiB


class Posterior(NamedTuple):
    """The encoder's output: a diagonal Gaussian q(z | x) for a model with noise, a point for one without."""

    mean: Array  # float32[B, D]
    logvar: Array | None  # float32[B, D]; None for a model without noise


class Terms(NamedTuple):
    """The terms of an objective for each image, in nats. The ELBO is -(distortion + rate)."""

    distortion: Array  # float32[B]: -log p(x | z)
    rate: Array  # float32[B]: KL(q(z | x) || p(z)); 0 for a model without noise
    penalty: Array  # float32[B]: what the objective adds to the distortion, such as kl_weight * rate

    def loss(self, warmup: Array | float = 1.0) -> Array:
        """Returns the loss float32[B]: distortion + warmup * penalty, where training may raise `warmup` from 0 to 1."""
        return self.distortion + warmup * self.penalty


class BoundNetwork(NamedTuple):
    """What an objective sees of a network, with its parameters filled in."""

    encode: Callable[[Array], Posterior]  # images float32[B, *image_shape] in [0, 1] to the posterior q(z | x)
    decode: Callable[[Array], Reconstruction]  # codes float32[B, D] to the parameters of p(x | z)
    nll: NegativeLogLikelihood  # to -log p(x | z) of images, float32[B], nats per image
    decoder_params: Any  # the decoder's parameters, a pytree


Hyperparameters = Mapping[str, Array]
"""The dynamic fields of a `Config` by name: numbers inside the compiled program."""


class Batch(NamedTuple):
    """What an objective sees.

    The last batch of an epoch is filled up with images that do not count. Where an objective looks at a batch as a
    whole, as at its mean code, it weighs the images, or these would change its loss.
    """

    network: BoundNetwork
    images: Array  # float32[B, H, W] or [B, H, W, 3] in [0, 1]
    weights: Array  # float32[B], 1 for an image that counts and 0 for one that does not
    key: Array  # PRNG key for noise; consumed
    hyperparameters: Hyperparameters


Objective = Callable[[Batch], Terms]


@model("ae", title="AE", noise="none")
def ae_objective(batch: Batch) -> Terms:
    """Autoencoder: encode each image as a point z, decode it, and minimize the reconstruction error."""
    network, images = batch.network, batch.images
    z = network.encode(images).mean
    distortion = network.nll(network.decode(z), images)
    zeros = jnp.zeros_like(distortion)
    return Terms(distortion=distortion, rate=zeros, penalty=zeros)


@model(
    "rae", title="RAE", noise="none", fields=("kl_weight", "kl_warmup_epochs", "decoder_l2"), baselines=("ae",),
)  # fmt: skip
def rae_objective(batch: Batch) -> Terms:
    """Regularized autoencoder: an autoencoder whose codes are pulled to 0 and whose decoder's weights decay.

    This is RAE-L2 of Ghosh et al. 2020. Without the decay the decoder could undo the pull by larger weights.

    It reads the hyperparameters `kl_weight` and `decoder_l2`, both float32[]. The decay is the same for every image, so
    that the loss of a batch holds it once.
    """
    network, images, hyperparameters = batch.network, batch.images, batch.hyperparameters
    z = network.encode(images).mean
    distortion = network.nll(network.decode(z), images)
    pull = 0.5 * jnp.sum(jnp.square(z), axis=-1)
    decay = sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(network.decoder_params) if leaf.ndim > 1)
    penalty = hyperparameters["kl_weight"] * pull + hyperparameters["decoder_l2"] * decay
    return Terms(distortion, rate=jnp.zeros_like(distortion), penalty=penalty)


@model(
    "cv_vae", title="CV-VAE", noise="fixed", fields=("kl_weight", "kl_warmup_epochs", "noise_sd"),
    baselines=("ae", "rae"),
)  # fmt: skip
def cv_vae_objective(batch: Batch) -> Terms:
    """Constant-variance VAE: a VAE whose noise has one size, which nothing learns.

    The KL from the standard normal is then ½‖mean‖² plus a constant, which the penalty leaves out (Ghosh et al. 2020).
    The rate is the whole KL. It reads the hyperparameter `kl_weight`.
    """
    network, images = batch.network, batch.images
    mean, logvar = _with_noise(network.encode(images))
    z = reparameterize(batch.key, mean, logvar)
    distortion = network.nll(network.decode(z), images)
    pull = 0.5 * jnp.sum(jnp.square(mean), axis=-1)
    rate = jnp.sum(gaussian_kl(mean, logvar), axis=-1)
    return Terms(distortion, rate, penalty=batch.hyperparameters["kl_weight"] * pull)


@model(
    "vae", title="VAE", noise="learned",
    fields=("kl_weight", "kl_warmup_epochs", "free_bits", "importance_samples"), baselines=("ae", "cv_vae"),
)  # fmt: skip
def vae_objective(batch: Batch) -> Terms:
    """Variational autoencoder: encode each image as a distribution, and penalize its KL from the standard normal.

    It reads the hyperparameters `kl_weight` float32[], where 1 gives the negative ELBO, and `free_bits` float32[], the
    KL of each latent dimension that is not penalized, in nats (Kingma et al. 2016, arXiv:1606.04934, eq. 15; here per
    image instead of the mean over a batch, so that an image's loss does not depend on its batch).

    Raises:
        ValueError: the encoder has no variance.
    """
    network, images = batch.network, batch.images
    mean, logvar = _with_noise(network.encode(images))
    z = reparameterize(batch.key, mean, logvar)
    distortion = network.nll(network.decode(z), images)
    kl = gaussian_kl(mean, logvar)
    penalty = jnp.sum(jnp.maximum(kl, batch.hyperparameters["free_bits"]), axis=-1)
    return Terms(distortion, rate=jnp.sum(kl, axis=-1), penalty=batch.hyperparameters["kl_weight"] * penalty)


def iwae_objective(batch: Batch, *, num_samples: int) -> Terms:
    """Importance-weighted autoencoder: a VAE that maximizes log 1/k Σ p(x, z_i) / q(z_i | x) over k draws of z.

    The bound rises with k towards log p(x); with k = 1 it is the ELBO with a sampled instead of the analytic KL. The
    gradient is the reparameterized one (Burda et al. 2016, eq. 8 and 13). The logarithm of a weight is
    -nll - kl_weight · log(q(z | x) / p(z)). The loss is minus the bound; distortion (a mean over the draws) and rate
    (the analytic KL) are those of the ELBO, and the penalty is the rest of the loss.

    The codes take memory for k · B · D numbers. At most `MAX_DECODED_PIXELS` are decoded at once (but all of one
    draw); with more, the draws take turns, and the backward pass decodes them again.

    Args:
        batch: of which the hyperparameter `kl_weight` is read.
        num_samples: k, draws per image.

    Raises:
        ValueError: the encoder has no variance.
    """
    network, images = batch.network, batch.images
    mean, logvar = _with_noise(network.encode(images))
    eps = jax.random.normal(batch.key, (num_samples, *mean.shape), mean.dtype)
    z = mean[None] + jnp.exp(logvar / 2)[None] * eps
    log_ratio = 0.5 * jnp.sum(jnp.square(z) - jnp.square(eps) - logvar[None], axis=-1)  # log q(z | x) - log p(z)

    def nll_of(z: Array) -> Array:
        return network.nll(network.decode(z), images)

    at_once = max(1, MAX_DECODED_PIXELS // images.size)
    in_turns = partial(jax.lax.map, jax.checkpoint(nll_of), batch_size=at_once)
    nll = jax.vmap(nll_of)(z) if num_samples <= at_once else in_turns(z)
    log_weights = -nll - batch.hyperparameters["kl_weight"] * log_ratio
    loss = math.log(num_samples) - jax.nn.logsumexp(log_weights, axis=0)
    distortion = jnp.mean(nll, axis=0)
    return Terms(distortion, rate=jnp.sum(gaussian_kl(mean, logvar), axis=-1), penalty=loss - distortion)


def objective_of(name: str, importance_samples: int = 0) -> Objective:
    """Returns the objective of a model of `MODELS`; with importance samples, that of an IWAE."""
    return partial(iwae_objective, num_samples=importance_samples) if importance_samples else MODELS[name].objective


def _with_noise(posterior: Posterior) -> tuple[Array, Array]:
    if posterior.logvar is None:
        raise ValueError("a model with noise needs an encoder that outputs a log-variance")
    return posterior.mean, posterior.logvar


def reparameterize(key: Array, mean: Array, logvar: Array) -> Array:
    """Draws z = mean + exp(logvar / 2) · ε with ε ~ N(0, I), differentiable in mean and logvar.

    Args:
        key: PRNG key; consumed.
        mean: float32[B, D].
        logvar: float32[B, D].

    Returns:
        float32[B, D].

    References:
        Kingma & Welling 2014, section 2.4.
    """
    eps = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(logvar / 2) * eps


def gaussian_kl(mean: Array, logvar: Array) -> Array:
    """Computes KL(N(mean, exp(logvar)) || N(0, 1)) elementwise, in nats.

    The formula is -½ (1 + logvar - exp(logvar) - mean²); `expm1` keeps its digits where logvar is near 0.

    References:
        Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (jnp.expm1(logvar) - logvar + jnp.square(mean))
