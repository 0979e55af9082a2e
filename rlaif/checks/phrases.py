"""Words and phrases in an answer, as a person would say they stand there.

Accents may be composed or not, apostrophes straight or curly, white space of any kind and length. A phrase must begin
and end where words do: "cat" does not stand in "concatenate". Scripts without spaces between words have no such
places, so their phrases are found anywhere.
"""

import unicodedata
from collections.abc import Iterator

_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "\u00ad": None})
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF)),
    *((0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters."""


def stands_in(phrase: str, text: str, *, fold_case: bool) -> bool:
    """Whether a phrase stands in a text as whole words."""
    wanted, inside = plain(phrase, fold_case=fold_case), plain(text, fold_case=fold_case)
    return any(_is_whole(inside, start, start + len(wanted)) for start in _places(wanted, inside))


def plain(text: str, *, fold_case: bool) -> str:
    """Return one spelling of a text: NFC, straight apostrophes, single spaces, and small letters if asked for."""
    text = " ".join(unicodedata.normalize("NFC", text).translate(_STRAIGHT).split())
    return unicodedata.normalize("NFC", text.casefold()) if fold_case else text


def _places(wanted: str, text: str) -> Iterator[int]:
    start = text.find(wanted) if wanted else -1
    while start >= 0:
        yield start
        start = text.find(wanted, start + 1)


def _is_whole(text: str, start: int, end: int) -> bool:
    return not (_joined(text[start - 1 : start], text[start]) or _joined(text[end - 1], text[end : end + 1]))


def _joined(before: str, after: str) -> bool:
    """Whether two neighbours belong to one word."""
    return (
        bool(before and after) and _of_word(before) and _of_word(after) and not (_unspaced(before) or _unspaced(after))
    )


def _of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


def _unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)
