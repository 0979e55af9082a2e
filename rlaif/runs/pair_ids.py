"""Ids of a run's pairs by their texts, so that labels find their pair whichever response was chosen."""

from collections.abc import Iterable, Sequence

from rlaif.records import Message
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash


def pair_id(conversation: Iterable[Message], one: str, other: str) -> str:
    """Return an id of two responses to a conversation, in any order and with any white space.

    It begins with a word, because a spreadsheet would read a hash such as 12e456789012 as a number.
    """
    turns = (f"{turn.role}\n{plain(turn.readable)}" for turn in conversation)
    return f"pair-{content_hash(*turns, *sorted((plain(one), plain(other))))}"


def id_of(row: PreferenceRow) -> str:
    """Return the `pair_id` of a run's pair."""
    return pair_id(row.prompt, row.chosen[0].content, row.rejected[0].content)


def hash_of_pairs(rows: Sequence[PreferenceRow]) -> str:
    """Return a hash of which pairs these are, in any order and whichever of the two responses was chosen."""
    return f"pairs-{content_hash(*sorted(map(id_of, rows)))}"


def plain(text: str) -> str:
    """Return a text with single spaces, because spreadsheets change white space."""
    return " ".join(text.split())
