"""Which language a text is most likely in: py3langid's Bayes classifier over byte n-grams, model included, offline.

Lui & Baldwin 2012 (langid.py). It always names a language: below some ten words, in mixed texts, in code and between
close relatives (Bosnian, Croatian, Serbian; Norwegian's two) it is often wrong. Give other checks more weight there.
"""

from functools import cache
from typing import Any


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of the likeliest language; `none` for a text without letters."""
    if not any(character.isalpha() for character in text):
        return "none"
    return str(_identifier().classify(text.encode("utf-8", "replace").decode("utf-8"))[0])


def known_languages() -> frozenset[str]:
    """Return the codes it tells apart."""
    return frozenset(map(str, _identifier().labels))


@cache
def _identifier() -> Any:  # noqa: ANN401  (the library has no types)
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  (1.5 s, for those who need it)

    return LanguageIdentifier.from_model_file(MODEL_FILE)
