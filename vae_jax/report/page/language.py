"""The language of a page: English stands where it is used, and ko.json maps an English text to its Korean one."""

import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

FOLDER = Path(__file__).parent


class Language:
    """Translates texts. One is called `_`, as gettext is: `_("{n} of {total}", n=3, total=5)`.

    A text without a translation stays English as a whole, so that nobody owes one.

    Attributes:
        code: one of `config.LANGUAGES`.
        translations: by the English text.
        nouns: what stands for `{image}`, `{images}` and `{an_image}` in a text: what the images show.
    """

    def __init__(self, code: str = "en", noun: str = "image") -> None:
        self.code = code
        self.translations: dict[str, str] = {}
        if code != "en":
            self.translations = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
        forms = {"image": noun, "images": f"{noun}s", "an_image": f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"}
        self.nouns = {f"{{{name}}}": self.translations.get(noun, form) for name, form in forms.items()}

    def __call__(self, text: str, **values: Any) -> str:
        """Returns a text with its {names} filled in: markup if a value is markup, and then all else is escaped."""
        found = self.translations.get(text, text)
        for name, noun in self.nouns.items():
            found = found.replace(name, noun)
        if any(isinstance(value, Markup) for value in values.values()):
            found = escape(found)
        return found.format(**values) if values else found

    def plural(self, one: str, many: str, n: int) -> str:
        """Returns `1 seed`, `2 seeds`, of the forms `{n} seed` and `{n} seeds`."""
        return self(one if n == 1 else many, n=n)

    def composed(self, text: str) -> str:
        """Translates what has its numbers and names already, such as `about 9 seeds would resolve it`.

        A semicolon separates parts, which are translated one by one.
        """
        return "; ".join(map(self._part, text.split("; ")))

    def whole(self, text: str) -> str | None:
        """Translates a text of sentences of which some have numbers in them; None unless all have a translation.

        The longest beginning that is known is translated as it is, and the rest sentence by sentence.
        """
        if self.code == "en":
            return text
        known = max((english for english in self.translations if text.startswith(english)), key=len, default="")
        rest = [sentence for sentence in re.split(r"(?<=[.?]) ", text[len(known) :].strip()) if sentence]
        parts = [self.translations.get(known, ""), *map(self._part, rest)]
        return None if any(part in rest for part in parts) else " ".join(filter(None, parts))

    def _part(self, text: str) -> str:
        for english, translation in self.translations.items():
            if any(noun in english for noun in self.nouns):
                continue  # none of what is composed
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[\\w-]+)", re.escape(english))
            if match := re.fullmatch(pattern, text):
                return translation.format(**match.groupdict())
        return text
