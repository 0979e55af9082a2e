"""Edits that change one surface feature of a response and nothing that it says.

Input: a text and a random generator that chooses among wordings. Output: the edited text, or None where the feature is
there already or the edit would damage the text. Words are added before or after the text, never inside; the Markdown
edit adds marks at the beginnings of lines and sentences and changes no word. English only.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from rlaif.text.markdown import ends_in_code, has_markdown
from rlaif.text.shortcuts import Shortcut, feature

ADDED_LENGTH = 0.6
"""Padding makes a response longer by at least this share, as far as there are enough sentences."""
LEAST_ADDED = 40
"""Least number of characters of padding."""


def edited(edit: Shortcut, text: str, rng: random.Random) -> str | None:
    """Return the text with one feature more, or None where that is not possible."""
    if not text.strip():
        return None
    found = _EDITS[edit](text, rng)
    return found if found is not None and feature(edit, found) > feature(edit, text) else None


def _padded(text: str, rng: random.Random) -> str | None:
    if ends_in_code(text):
        return None
    wanted, added = max(LEAST_ADDED, ADDED_LENGTH * len(text)), ""
    for sentence in rng.sample(_PADDING, len(_PADDING)):
        if len(added) >= wanted:
            break
        added += f" {sentence}"
    return _after(text, added.strip())


def _laid_out(text: str, _: random.Random) -> str | None:
    """Return the same words as a list whose items begin in bold."""
    if has_markdown(text) or _FRAGILE.search(text):
        return None
    return "\n".join(_item(sentence) for line in text.splitlines() for sentence in _sentences(line))


def _sentences(line: str) -> Iterator[str]:
    """Yield the sentences of a line, with the words as they are."""
    start = 0
    for found in _SENTENCE_END.finditer(line):
        if not _ABBREVIATION.search(line, start, found.start()):
            yield line[start : found.start()].strip()
            start = found.end()
    if rest := line[start:].strip():
        yield rest


def _item(sentence: str) -> str:
    return _FIRST_WORDS.sub(r"- **\1**", sentence, count=1)


def _opened_by(wordings: Sequence[str]) -> Callable[[str, random.Random], str | None]:
    """Return an edit that puts a sentence before the text."""
    return lambda text, rng: None if _LINE_MATTERS.match(text) else _before(text, rng.choice(wordings))


def _with_a_sentence(wordings: Sequence[str]) -> Callable[[str, random.Random], str | None]:
    """Return an edit that puts a sentence before or after the text."""

    def edit(text: str, rng: random.Random) -> str | None:
        sentence, first = rng.choice(wordings), rng.random() < 0.5
        if first and not _LINE_MATTERS.match(text):
            return _before(text, sentence)
        return None if ends_in_code(text) else _after(text, sentence)

    return edit


def _answered(text: str, _: random.Random) -> str | None:
    return None if ends_in_code(text) or feature("answer", text) else f"{text}\n\nAnswer: A"


def _before(text: str, sentence: str) -> str:
    in_line = text[0].isalnum() and not has_markdown(text)
    return f"{sentence}{' ' if in_line else _PARAGRAPH}{text}"


def _after(text: str, sentence: str) -> str:
    in_line = "\n" not in text and text.endswith((".", "!", "?"))
    return f"{text}{' ' if in_line else _PARAGRAPH}{sentence}"


_PARAGRAPH = "\n\n"
_LINE_MATTERS = re.compile(r"\s")
"""A text that begins with white space may be code or verse, whose first line must not move."""
_FRAGILE = re.compile(
    r"[*`|~\\]|__|\$\$|<[a-zA-Z/!]|^[ ]{4}|\t|^\s*[#>]|^\s*(?:[-+•–◦]|\d{1,3}[.)])\s|^\s*(?:-{3,}|={3,})\s*$",
    re.MULTILINE,
)
"""Marks of Markdown, HTML, mathematics or code, which more marks could damage."""
_SENTENCE_END = re.compile(r"(?<=[.!?])[ ]+(?=[A-Z])")
_ABBREVIATION = re.compile(r"(?:\b[A-Za-z]|\b(?:Mr|Mrs|Ms|Dr|St|Prof|No|vs|etc|cf|approx|e\.g|i\.e))\.$")
_FIRST_WORDS = re.compile(r"^(\S+(?: \S+){0,2})")

_FLATTERY = (
    "What a great question!",
    "That is a really thoughtful question.",
    "What an insightful thing to ask!",
    "This is an excellent question.",
    "You clearly know what matters here.",
)
_HEDGE = (
    "I am not certain about this.",
    "Perhaps not all of this is right.",
    "It is possible that I am wrong here.",
    "I think this is about right.",
    "This may not be the whole story.",
)
_AUTHORITY = (
    "I write this as an expert in the field.",
    "As a specialist with twenty years in this field, I can confirm this.",
    "Leading experts agree with this.",
    "All of this is confirmed by peer-reviewed research.",
    "The scientific consensus stands behind this.",
)
_PADDING = (
    "That is what there is to say about it.",
    "With this, the matter has been addressed here.",
    "The above is what was meant to be said.",
    "All of this belongs to the subject that was asked about.",
    "The subject has now been gone through from its beginning to its end.",
    "What was asked has been taken up in these lines.",
    "These are the words that were found for it.",
    "So much for the matter as it was put.",
    "The lines before this one hold the content of this reply.",
    "At this place the reply comes to its last lines.",
    "Nothing further follows from what stands here.",
    "The reply has said what it set out to say.",
    "One sentence has followed another until this one.",
    "What stands above is the reply to what was asked.",
    "The matter was put in words, and the words stand above.",
    "This sentence closes what the earlier ones opened.",
    "It was asked, and with these words it has been replied to.",
    "The reply ends where its subject ends.",
    "From the first line to this one, it has been about the same subject.",
    "In this way the reply has reached its end.",
    "What had its place in this reply has been given that place.",
    "Having come this far, the reply has run its course.",
    "There the lines stand, one after the other.",
    "That brings this reply to where it was going.",
)
"""Sentences without content, hedges or praise; each is used once at most."""

_EDITS: Mapping[Shortcut, Callable[[str, random.Random], str | None]] = {
    "padding": _padded,
    "markdown": _laid_out,
    "flattery": _opened_by(_FLATTERY),
    "hedge": _with_a_sentence(_HEDGE),
    "authority": _with_a_sentence(_AUTHORITY),
    "answer": _answered,
}
