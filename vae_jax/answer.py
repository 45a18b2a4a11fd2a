"""Verdicts -> the answer: a few sentences on what turning an AE into a VAE buys, and what it costs.

They are about the two models that lie farthest apart, and each says what its verdicts say and no more: what is not
resolved is said to be so.
"""

from collections.abc import Iterable, Sequence

from vae_jax.answer_texts import ALL, LANGUAGES, ONE, SOME, Language
from vae_jax.models import MODELS
from vae_jax.results import DASH, Results, spread
from vae_jax.verdicts import (
    ALONE,
    CONTRADICTED,
    LEVEL,
    MISSING_NUMBER,
    NOT_RESOLVED,
    SUPPORTED,
    Verdict,
    group_seeds,
)

SAMPLES = "prior_frechet"
IS_NEAR = "prior_frechet_over_floor"  # of each model alone
GAINS = ("step_0_1_change", "negentropy", "gaussian_hole_mass", "silhouette", "midpoint_implausible_excess")
PRICES = ("test_distortion_mean_code", "test_noise_cost")
FITTED = "mixture_frechet"

Rows = dict[str, list[Verdict]]  # by measurement, one a setting


def answer(results: Results, verdicts: Sequence[Verdict], language: str = "en") -> list[str]:
    """Answers the question of an experiment that compares models.

    Args:
        results: of all runs.
        verdicts: what `judge_claims` makes of them.
        language: a key of `LANGUAGES`.

    Returns:
        Sentences: on samples of N(0, I) and on what else is gained, the one that is resolved first; and on the price
        and samplers fitted to the codes, which are two if there are several settings. Without a comparison, a sentence
        on each model that was trained; none if no run is evaluated.
    """
    texts = LANGUAGES[language]
    rows = _of_main_pair(verdicts)
    if not rows:
        return [_sentence(text) for text in _alone(results, texts)]
    samples = _statements(rows, [SAMPLES], texts) + _neither(rows, verdicts, texts)
    gain = _statements(rows, _gains(rows), texts)
    benefits = [samples, gain] if _is_resolved(rows, [SAMPLES]) or not _is_resolved(rows, GAINS) else [gain, samples]
    price, fitted = _price(rows, texts), _statements(rows, [FITTED], texts)
    has_settings = any(len(found) > 1 for found in rows.values())
    parts = [*benefits, price, fitted] if has_settings else [*benefits, price + fitted]
    return [_sentence(texts.separator.join(part)) for part in parts if part]


def _of_main_pair(verdicts: Iterable[Verdict]) -> Rows:
    """The verdicts on the model and the baseline that are farthest apart in the order of `MODELS`."""
    order = list(MODELS)
    pairs: dict[tuple[str, str], Rows] = {}
    for row in verdicts:
        if row.baseline:
            pairs.setdefault((row.model, row.baseline), {}).setdefault(row.measurement, []).append(row)
    return pairs[max(pairs, key=lambda pair: order.index(pair[0]) - order.index(pair[1]))] if pairs else {}


def _gains(rows: Rows) -> list[str]:
    """The gain to name: smoothness if it is supported, else what is supported most firmly, else smoothness.

    Smoothness is named in any case if it is contradicted: no other gain may hide that.
    """
    measured = [name for name in GAINS if name in rows]
    smoothness, supported = measured[:1], _judged(rows, measured, SUPPORTED)
    if not supported or smoothness[0] in supported:
        return smoothness
    p = {name: min(row.p for row in rows[name] if row.verdict == SUPPORTED) for name in supported}
    return [min(supported, key=lambda name: p[name]), *_judged(rows, smoothness, CONTRADICTED)]


def _judged(rows: Rows, names: Iterable[str], verdict: str) -> list[str]:
    """Those of the measurements that have this verdict in at least one setting."""
    return [name for name in names if any(row.verdict == verdict for row in rows.get(name, []))]


def _is_resolved(rows: Rows, names: Iterable[str]) -> bool:
    """Whether a measurement has another verdict than that it is not resolved, in at least one setting."""
    return any(row.verdict != NOT_RESOLVED for name in names for row in rows.get(name, []))


def _price(rows: Rows, texts: Language) -> list[str]:
    """Every price that is paid, and every one whose opposite holds; or what is known of the first."""
    paid = _judged(rows, PRICES, SUPPORTED)
    gained = [name for name in _judged(rows, PRICES, CONTRADICTED) if name not in paid]
    statements = _statements(rows, [*paid, *gained] or PRICES[:1], texts)
    return [texts.price.format(what=statements[0]), *statements[1:]] if paid else statements


def _neither(rows: Rows, verdicts: Iterable[Verdict], texts: Language) -> list[str]:
    """Says so, if neither model's samples of N(0, I) are near real images, in no setting."""
    models = {model for row in rows.get(SAMPLES, []) for model in (row.model, row.baseline)}
    near = [row.verdict for row in verdicts if row.test == ALONE and row.measurement == IS_NEAR and row.model in models]
    return [texts.neither] if near and set(near) == {CONTRADICTED} else []


def _statements(rows: Rows, names: Iterable[str], texts: Language) -> list[str]:
    """What is said of each measurement: a statement for each verdict that some of its settings have."""
    return [text for name in names if name in rows for text in _about(rows[name], texts)]


def _about(settings: Sequence[Verdict], texts: Language) -> list[str]:
    groups: dict[str, list[Verdict]] = {}  # by what is said around the statement
    for kind in (SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED):
        for row in settings:
            if row.verdict == kind:
                groups.setdefault(f"{kind} {_frame(row, texts)}", []).append(row)
    return [_in_settings(_statement(group, texts), group, len(settings), texts) for group in groups.values()]


def _statement(group: Sequence[Verdict], texts: Language) -> str:
    row = group[0]
    statement = texts.statements[row.measurement][row.verdict].format(
        model=MODELS[row.model].title,
        baseline=MODELS[row.baseline or row.model].title,
        value=_span((row.model_value for row in group), texts),
        other=_span((row.baseline_value for row in group), texts),
    )
    return _frame(row, texts).format(what=statement)


def _frame(row: Verdict, texts: Language) -> str:
    """What stands around a statement that is not resolved: why it is not."""
    if row.verdict != NOT_RESOLVED:
        return "{what}"
    if row.note.startswith(MISSING_NUMBER):
        return texts.open_missing
    seeds = row.estimate.seeds
    return texts.open_one_seed if seeds == 1 else texts.open_seeds.format(n=_count(seeds, texts), what="{what}")


def _in_settings(statement: str, group: Sequence[Verdict], total: int, texts: Language) -> str:
    """Says which settings a statement is about, if there are several."""
    if total == 1:
        return statement
    form = texts.settings[ALL if len(group) == total else ONE if len(group) == 1 else SOME]
    k, n = _count(len(group), texts), _count(total, texts)
    return form.format(setting=group[0].setting, k=k, n=n, what=statement)


def _count(number: int, texts: Language) -> str:
    return texts.counts[number] if number < len(texts.counts) else str(number)


def _span(values: Iterable[str], texts: Language) -> str:
    """The mean of a number, as tables print it, or the least and the greatest of several settings."""
    means = sorted((value.split()[0] for value in values if value != DASH), key=float)
    if not means:
        return DASH
    return means[0] if means[0] == means[-1] else texts.to.format(low=means[0], high=means[-1])


def _alone(results: Results, texts: Language) -> list[str]:
    """What was trained, and the main number of each model."""
    found: dict[str, list[str]] = {}
    for runs in group_seeds(results.configs):
        name = _main_number(runs[0].model)
        value = spread(name, [results.rows[config] for config in runs if config in results.rows])
        if value != DASH:
            found.setdefault(runs[0].model, []).append(value)
    return [
        texts.trained[ONE if len(values) == 1 else SOME].format(
            model=MODELS[model].title,
            dataset=", ".join(dict.fromkeys(config.dataset for config in results.rows if config.model == model)),
            label=texts.labels[_main_number(model)],
            n=_count(len(values), texts),
            value=_span(values, texts),
        )
        for model, values in found.items()
    ]


def _main_number(model: str) -> str:
    return "test_elbo" if MODELS[model].has_variance else "test_distortion"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
