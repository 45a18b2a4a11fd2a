"""Words that not every reader knows: each opens a line that explains it, where the page first uses it."""

import re

from markupsafe import Markup, escape

from vae_jax.report.page.language import Language

TERMS = {
    "N(0, I)": "The standard normal distribution: independent coordinates with mean 0 and standard deviation 1.",
    "nat": "The unit of a natural logarithm of a probability, as a bit is that of base 2: 1 nat is 1.44 bits.",
    "Fréchet distance": (
        "How far two sets of images are apart in the features of a classifier of the data set: the squared distance of "
        "their means, and what their covariances differ by. It is 0 for sets with the same means and covariances."
    ),
    "mutual information": (
        "How much the uncertainty about one quantity, its entropy, falls when another one is known: all of the entropy "
        "if that tells it, 0 if they are independent."
    ),
    "prior": "The distribution of codes that is assumed before any image is seen: here N(0, I).",
    "whitened": "Shifted, turned and scaled so that all codes together have mean 0, variance 1 and no correlation.",
}
FORMS = {"nat": "nats?", "whitened": "whiten(?:ed|ing)"}
"""A regular expression for the forms of a word in English; in another language its translation stands alone."""
SKIPPED = {"a", "button", "summary", "code", "pre", "option", "select", "label", "legend", "title", "noscript",
           "h1", "h2", "h3", "h4", "thead", "dt"}  # fmt: skip

_PARTS = re.compile(r"(<script.*?</script>|<style.*?</style>|<!.*?>|<[^>]*>)", re.DOTALL)


def explain(page: str, _: Language) -> str:
    """Makes a button of the first use of each word in a page's texts, which opens what it means.

    Text from outside is escaped, so that every `<` starts a tag of the templates.
    """
    parts, depth = _PARTS.split(page), 0
    open_terms = {term: re.compile(rf"(?<![\w-]){_form(term, _)}") for term in TERMS}
    for index, part in enumerate(parts):
        if index % 2:
            if (tag := re.match(r"</?(\w+)", part)) and tag[1] in SKIPPED:
                depth += -1 if part.startswith("</") else 1
        elif depth == 0:
            pieces = [part]  # what is marked is not searched again
            for term, form in list(open_terms.items()):
                at = next((i for i, piece in enumerate(pieces[::2]) if form.search(piece)), None)
                if at is not None:
                    match = form.search(pieces[2 * at])
                    assert match is not None
                    before, after = pieces[2 * at][: match.start()], pieces[2 * at][match.end() :]
                    pieces[2 * at : 2 * at + 1] = [before, _button(term, match[0]), after]
                    del open_terms[term]
            parts[index] = "".join(pieces)
    lines = [_line(term, _) for term in TERMS if term not in open_terms]
    return "".join(parts).replace("</main>", f"{Markup('').join(lines)}</main>")


def _form(term: str, _: Language) -> str:
    return rf"{FORMS.get(term, re.escape(term))}(?!\w)" if _.code == "en" else re.escape(_(term))


def _button(term: str, text: str) -> str:
    return f'<button type="button" class="word" popovertarget="{_id(term)}">{text}</button>'


def _line(term: str, _: Language) -> Markup:
    text = _.whole(TERMS[term])
    meaning = escape(text) if text else Markup('<span lang="en">{}</span>').format(TERMS[term])
    return Markup('<p class="meaning" id="{}" popover><b>{}</b> {}</p>').format(_id(term), _(term), meaning)


def _id(term: str) -> str:
    return f"word-{list(TERMS).index(term)}"
