"""Read a dialogue in one text, as HH-RLHF has it (Bai et al. 2022): turns that begin with `Human:` or `Assistant:`."""

import re

from rlaif.datasets.shapes.row import RefusedRowError
from rlaif.records import Message

_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")


def is_transcript(value: object) -> bool:
    """Whether a cell is a text that begins with a person's turn."""
    return isinstance(value, str) and value.lstrip().startswith("Human:")


def read_transcript(column: str, text: str) -> tuple[tuple[Message, ...], str]:
    """Return (turns before the response, the response) of a transcript. Raises RefusedRowError.

    Turns must alternate: a text inside a turn that looks like another turn cannot be told from one.
    """
    start, *parts = _TURN.split("\n\n" + text.lstrip())
    speakers, said = parts[::2], parts[1::2]
    if start.strip() or not speakers:
        raise RefusedRowError("unreadable prompt", f"`{column}` does not begin with a turn such as `Human: …`")
    if speakers[-1] != "Assistant":
        raise RefusedRowError("no responses", f"`{column}` does not end with a turn of the assistant")
    if speakers != ["Human", "Assistant"] * (len(speakers) // 2):
        raise RefusedRowError("unreadable prompt", f"the turns of `{column}` do not alternate")
    if any(not turn.strip() for turn in said[:-1]):
        raise RefusedRowError("unreadable prompt", f"a turn of `{column}` before the response is empty")
    roles = {"Human": "user", "Assistant": "assistant"}
    turns = [
        Message.model_validate({"role": roles[one], "content": content.strip()})
        for one, content in zip(speakers[:-1], said[:-1], strict=True)
    ]
    return tuple(turns), said[-1].strip()
