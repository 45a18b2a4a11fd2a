"""The story of the page, from an autoencoder to a VAE: what it needs of an experiment, and the code it shows."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from vae_jax.claims.results import Results
from vae_jax.model import objectives
from vae_jax.models import MODELS
from vae_jax.report.page.language import Language


class Code(NamedTuple):
    """A function that is shown."""

    title: str
    source: Markup  # in which some lines are marked


class Story(NamedTuple):
    """What the story needs; a part that does not apply is empty."""

    dims: str  # the numbers of a code
    codes: list[Code]  # the losses of an autoencoder and of a VAE, if there is a VAE
    parts: list[str]  # the functions that the latter calls
    run: int | None  # whose draws are shown, an index of the explorer's runs


def build(results: Results, live: Mapping[str, Any] | None, _: Language) -> Story:
    """Makes the story of an experiment; `live` is what `explorer.build` returns."""
    sizes = sorted({config.latent_dim for config in results.configs})
    dims = _("{n} number" if sizes == [1] else "{n} numbers", n=_(" or ").join(map(str, sizes)))
    # A VAE that maximizes an importance-weighted bound has another loss.
    vaes = [c for c in results.configs if MODELS[c.model].noise == "learned" and not c.importance_samples]
    if not vaes:
        return Story(dims, [], [], None)
    model = MODELS[vaes[0].model]
    baseline = MODELS[model.baselines[0]]
    losses = [code_of(each.objective) for each in (baseline, model)]
    codes = [
        Code(_("The loss of the {model}", model=each.title), _marked(own, other))
        for each, own, other in zip((baseline, model), losses, losses[::-1], strict=True)
    ]
    parts = ["\n".join(code_of(part)) for part in (objectives.reparameterize, objectives.gaussian_kl)]
    return Story(dims, codes, parts, _run(live["runs"] if live else []))


def code_of(function: Callable[..., Any]) -> list[str]:
    """Returns the lines of a function's source without its decorators and its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef)
    first, lines = definition.body[0], source.splitlines()
    return [*lines[definition.lineno - 1 : first.lineno - 1], *lines[first.end_lineno :]]


def _marked(own: Sequence[str], other: Sequence[str]) -> Markup:
    """Lines as markup; those that another function lacks are marked, but for the first, which has its name."""
    marked = [own[0], *(line if line in other else Markup("<mark>{}</mark>").format(line) for line in own[1:])]
    return Markup("\n").join(marked)


def _run(runs: Sequence[Mapping[str, Any]]) -> int | None:
    """The first run whose noise is learned, rather one whose latent space is a plane, and with KL weight 1."""

    def rank(index: int) -> tuple[bool, bool]:
        return runs[index]["latent_dim"] != 2, runs[index]["settings"].get("kl_weight", "1") != "1"

    return min((index for index, run in enumerate(runs) if run["logvar"] is not None), key=rank, default=None)
