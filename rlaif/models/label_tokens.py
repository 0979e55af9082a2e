"""The tokens of a judge's labels, by which a server reports their exact probabilities.

Input: labels such as "A" and "B", and a server that tokenises. Output: the ids of the tokens that spell one of them. On
a server that does not tokenise, the labels are looked for among the most likely tokens instead (`read_labels`).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

BEFORE = ("", " ", "\n")
"""A label's token may contain the white space before it; after a line break, tokenizers give the bare one."""


class Tokenizes(Protocol):
    """A server that tokenises texts."""

    async def token_ids(self, model: str, text: str) -> tuple[int, ...] | None:
        """Return the ids of a text's tokens, without special ones; None where the server does not tokenise."""

    async def text_of(self, model: str, ids: Sequence[int]) -> str | None:
        """Return the text of tokens; None where the server does not tokenise."""


async def tokens_of_labels(
    server: Tokenizes, model: str, labels: Sequence[str]
) -> Mapping[str, tuple[int, ...]] | None:
    """Return for each label the ids of the tokens that spell it, white space aside; None where the server cannot say.

    A label without any id is more than one token.
    """
    found: dict[str, tuple[int, ...]] = {}
    for label in labels:
        ids: dict[int, None] = {}
        for space in BEFORE:
            tokens = await server.token_ids(model, space + label.strip())
            if tokens is None:
                return None
            text = await server.text_of(model, tokens[-1:])
            if text is None:
                return None
            if text.strip() == label.strip():
                ids[tokens[-1]] = None
        found[label] = tuple(ids)
    return found
