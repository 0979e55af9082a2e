"""Conversations as rows spell them: a text, a list of messages, or a whole conversation that ends with the answer."""

from pydantic import ValidationError

from rlaif.errors import PromptsError
from rlaif.records import Message


def conversation_of(where: str, value: object) -> tuple[Message, ...]:
    """Return a prompt's turns; a text is the user's. Raises PromptsError that begins with `where`."""
    turns = _turns(where, "prompt", value, role="user")
    if not turns or turns[-1].role != "user":
        raise PromptsError(f"{where}: the prompt's last message must be the user's")
    if not turns[-1].content.strip():
        raise PromptsError(f"{where}: the prompt has no text")
    return turns


def answer_of(where: str, column: str, value: object) -> tuple[tuple[Message, ...], str]:
    """Return the turns that stand before the answer (often none) and the answer. Raises PromptsError."""
    turns = _turns(where, column, value, role="assistant")
    if not turns or turns[-1].role != "assistant":
        raise PromptsError(f"{where}: the last message of `{column}` must be the assistant's")
    if not turns[-1].content.strip():
        raise PromptsError(f"{where}: `{column}` has no text")
    return turns[:-1], turns[-1].content


def _turns(where: str, column: str, value: object, *, role: str) -> tuple[Message, ...]:
    if value is None:
        raise PromptsError(f"{where}: has no `{column}`")
    if isinstance(value, str):
        value = [{"role": role, "content": value}]
    if not isinstance(value, list | tuple):
        raise PromptsError(f"{where}: `{column}` must be a text or a list of messages")
    try:
        return tuple(Message.model_validate(_bare(turn)) for turn in value)
    except ValidationError as error:
        raise PromptsError(f"{where}: a message of `{column}` is wrong: {error.errors()[0]['msg']}") from None


def _bare(turn: object) -> object:
    return {"role": turn.get("role"), "content": turn.get("content")} if isinstance(turn, dict) else turn
