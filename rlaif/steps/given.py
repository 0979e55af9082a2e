"""The responses that a prompt's row brings, in place of samples."""

from rlaif.records import Prompt, Response

UNKNOWN = "unknown"
"""Name of the model of a response whose file names none."""


def response_id(place: int) -> str:
    """Return the id of a given response by its place in the row, from 0 on."""
    return f"g{place}"


def given_responses(prompt: Prompt) -> list[Response]:
    """Return the responses of a row, empty ones included. No reply of a server is behind them."""
    return [
        Response(
            id=response_id(place),
            text=one.text,
            origin="given",
            model=one.model or UNKNOWN,
            seed=0,
            finish_reason="given",
            reasoning=one.reasoning,
            reply="",
        )
        for place, one in enumerate(prompt.given or ())
    ]
