"""The picture that stands for a whole experiment."""

from vae_jax.config import FIELDS, Config
from vae_jax.models import MODELS
from vae_jax.report.figures import images, latents
from vae_jax.report.figures.decodes import decode_prior, decode_prior_plane
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.panels import Drawing, figure, finish, seed_of
from vae_jax.report.figures.style import new_figure

SIDE = 8  # of grids of images


@figure
def hero(inputs: Inputs) -> Drawing | None:
    """All at a glance.

    Each model's codes of test images at their own scale, some as the number of their class, with one and two standard
    deviations of N(0, I) dashed; what its decoder makes of the plane, at equal shares of N(0, I); and of points drawn
    from N(0, I). The prior's points are the same for all.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]

    def differences(config: Config) -> int:
        return sum(config.uses(name) and getattr(config, name) != getattr(inputs.base, name) for name in FIELDS)

    shown = [
        min((config for config in flat if config.model == model), key=differences)
        for model in MODELS
        if any(config.model == model for config in flat)
    ]
    if not shown:
        return None
    drawn, axes = new_figure(len(shown), 3, 9, 2.9 * len(shown) + 0.3)
    for (codes, plane, samples), config in zip(axes, shown, strict=True):
        latents.draw_codes(inputs, config, codes)
        images.image_grid(plane, decode_prior_plane(inputs, config, SIDE))
        images.image_grid(samples, decode_prior(inputs, config, SIDE))
        name = MODELS[config.model].title
        codes.set_ylabel(name, fontsize="x-large", weight="bold", rotation=0, ha="right", va="center")
        codes.set_xlabel("")
    titles = ("codes of test images", "a grid over N(0, I), decoded", "draws from N(0, I), decoded")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    settings = f"Shown: {'; '.join(map(inputs.label, shown))}." if any(map(inputs.fields, shown)) else ""
    return finish(drawn, "", " ".join(filter(None, [settings, seed_of(inputs, shown)])))
