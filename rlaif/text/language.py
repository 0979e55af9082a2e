"""The most likely language of a text, and the languages of many texts with their shares (offline).

py3langid's Bayes classifier over byte n-grams (Lui & Baldwin 2012, langid.py). It is often wrong for texts below about
ten words, mixed texts, code, and closely related languages (Bosnian, Croatian, Serbian; Bokmål, Nynorsk).
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

SAMPLE = 1000
"""Largest number of texts that are classified: enough for a share within about 3 percentage points."""
NO_LANGUAGE = {"none", "zxx"}
"""Results that are not a language: no letters, or no linguistic content."""


def language_of(text: str) -> str:
    """Return the ISO 639 code of the most likely language; `none` for a text without letters."""
    if not any(character.isalpha() for character in text):
        return "none"
    return str(_identifier().classify(text.encode("utf-8", "replace").decode("utf-8"))[0])


def known_languages() -> set[str]:
    """Return the codes that the classifier knows."""
    return set(map(str, _identifier().labels))


def language_shares(texts: Sequence[str]) -> dict[str, float]:
    """Return {code: share} of at most SAMPLE evenly spaced texts, the most frequent first.

    Texts without a language count in the denominator, so the shares may add up to less than 1.
    """
    step = max(1, -(-len(texts) // SAMPLE))
    sample = texts[::step]
    counts = Counter(language_of(text) for text in sample)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {code: count / len(sample) for code, count in ordered if code not in NO_LANGUAGE}


@cache
def _identifier() -> Any:  # noqa: ANN401  (the library has no types)
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  (a second)

    return LanguageIdentifier.from_model_file(MODEL_FILE)
