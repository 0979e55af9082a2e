"""Find phrases and regular expressions in a text.

Phrases match regardless of Unicode composition, straight or curly apostrophes, and the kind and length of white space.
A phrase must begin and end at word boundaries: "cat" is not found in "concatenate". Scripts without spaces between
words have no such boundaries, so their phrases are found anywhere.

Regular expressions: RE2 (Cox 2007, https://swtch.com/~rsc/regexp/regexp1.html) does not backtrack, so its time is
linear in the text for every pattern. Look-around and back-references, which it lacks, are refused when the pattern is
read. `\\w`, `\\d` and `\\b` mean ASCII there; letters of all scripts are `\\pL`.
"""

import unicodedata
from functools import lru_cache
from typing import Any

_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "\u00ad": None})
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF)),
    *((0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters."""


def contains_phrase(text: str, phrase: str, *, fold_case: bool) -> bool:
    """Whether a phrase is found in a text as whole words."""
    text, phrase = plain(text, fold_case=fold_case), plain(phrase, fold_case=fold_case)
    start = text.find(phrase) if phrase else -1
    while start >= 0:
        end = start + len(phrase)
        if not (_joined(text[start - 1 : start], text[start]) or _joined(text[end - 1], text[end : end + 1])):
            return True
        start = text.find(phrase, start + 1)
    return False


def plain(text: str, *, fold_case: bool) -> str:
    """Return a text in normal form: NFC, straight quotes, single spaces, and case-folded with `fold_case`."""
    text = " ".join(unicodedata.normalize("NFC", text).translate(_STRAIGHT).split())
    return unicodedata.normalize("NFC", text.casefold()) if fold_case else text


def _joined(before: str, after: str) -> bool:
    """Whether two adjacent characters belong to one word; either may be empty."""
    return bool(before and after) and _is_word_part(before) and _is_word_part(after)


def _is_word_part(character: str) -> bool:
    spaced = not any(first <= ord(character) <= last for first, last in _UNSPACED)
    return spaced and unicodedata.category(character)[0] in "LNM"


LARGEST_PATTERN = 8 << 20
"""Maximum bytes of a compiled pattern, RE2's default; `(a{1000}){1000}` needs more and is refused."""


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:  # noqa: ANN401  (the library has no types)
    """Return a compiled pattern. Raises ValueError with the reason why it cannot be used."""
    import re2  # noqa: PLC0415  (few constitutions need it)

    options = re2.Options()
    options.max_mem = LARGEST_PATTERN
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        given = error.args[0] if error.args else error
        reason = given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
        raise ValueError(
            f"not a valid regular expression ({reason}); patterns use RE2's syntax, which has no look-around and no "
            "back-references"
        ) from None
    except UnicodeEncodeError:
        raise ValueError("not a valid regular expression: it contains an unpaired surrogate") from None


def search(pattern: str, text: str) -> str | None:
    """Return the first match in `text`, or None."""
    match = compiled(pattern).search(encodable(text))
    return None if match is None else str(match.group())


def findall(pattern: str, text: str) -> list[str]:
    """Return all matches in `text`."""
    return [str(match.group()) for match in compiled(pattern).finditer(encodable(text))]


def encodable(text: str) -> str:
    """Return `text` with unpaired surrogates, which UTF-8 cannot encode, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
