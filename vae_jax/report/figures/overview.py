"""The picture that stands for a whole experiment."""

from collections.abc import Sequence

from vae_jax.config import FIELDS, Config
from vae_jax.models import MODELS
from vae_jax.report.figures import images, latents
from vae_jax.report.figures.decodes import decode_rungs
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.panels import Drawing, figure, finish, seed_of
from vae_jax.report.figures.style import new_figure

ROWS, COLUMNS = 5, 8  # of decoded draws
DRAWS = {"prior": "\ndraws from N(0, I)", "gaussian": " draws with\nthe codes’ mean and covariance"}


@figure
def hero(inputs: Inputs) -> Drawing | None:
    """All at a glance.

    What each model's decoder makes of draws from N(0, I), without a look at the codes, and from a Gaussian with their
    mean and covariance, at the most latent dimensions that all models have; and the codes of test images at two
    dimensions, or else along their principal axes, coloured by class, with N(0, I) dashed at one and two standard
    deviations.
    """
    models = [model for model in MODELS if any(config.model == model for config in inputs.configs)]
    sizes = [{config.latent_dim for config in inputs.configs if config.model == model} for model in models]
    common = set.intersection(*sizes) if sizes else set[int]()
    if not common:
        return None
    sampled, seen = (
        _one_of_each(inputs, models, dims) for dims in (max(common), min(common, key=lambda d: (d != 2, -d)))
    )
    drawn, axes = new_figure(len(models), len(DRAWS) + 1, 11, 2.3 * len(models) + 0.3, width_ratios=(1.6, 1.6, 1))
    planes = latents.planes_of(inputs, seen)
    for (*sheets, plane), drawn_of, seen_of in zip(axes, sampled, seen, strict=True):
        for ax, tiles in zip(sheets, decode_rungs(inputs, drawn_of, list(DRAWS), ROWS, COLUMNS), strict=True):
            images.image_grid(ax, tiles)
        latents.draw_plane(inputs, seen_of, plane, planes[seen_of])
        plane.set(xlabel="", ylabel="", xticks=[], yticks=[])  # the circles are the scale
        name = MODELS[drawn_of.model].title
        sheets[0].set_ylabel(name, fontsize="x-large", weight="bold", rotation=0, ha="right", va="center")
    titles = {**dict.fromkeys(DRAWS.values(), sampled[0]), " codes,\nN(0, I) dashed": seen[0]}
    for ax, (title, config) in zip(axes[0], titles.items(), strict=True):
        ax.set_title(f"{config.latent_dim} dimension{'s'[: config.latent_dim - 1]}:{title}")
    shown = list(dict.fromkeys([*sampled, *seen]))
    settings = f"Shown: {'; '.join(map(inputs.label, shown))}." if any(map(inputs.fields, shown)) else ""
    return finish(drawn, "", " ".join(filter(None, [settings, seed_of(inputs, shown)])))


def _one_of_each(inputs: Inputs, models: Sequence[str], dims: int) -> list[Config]:
    """Returns the run of each model at these dimensions whose other fields are nearest to the experiment's base."""

    def differences(config: Config) -> int:
        return sum(config.uses(name) and getattr(config, name) != getattr(inputs.base, name) for name in FIELDS)

    runs = [config for config in inputs.configs if config.latent_dim == dims]
    return [min((config for config in runs if config.model == model), key=differences) for model in models]
