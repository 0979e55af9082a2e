"""The layouts that are read as they are: by which columns each is recognised, and how its rows are read.

A new one is a function from a row to a `ResponseRow` and a line in `SHAPES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rlaif.datasets.shapes.row import (
    RefusedRowError,
    ResponseRow,
    Row,
    columns_of,
    completed,
    label,
    listed,
    name_of,
    read_response,
    score_of,
)
from rlaif.datasets.shapes.transcript import is_transcript, read_transcript
from rlaif.records import FileLabel, GivenResponse, Message

CHOSEN, REJECTED = 1.0, 0.0
_TEXT_KEYS = ("text", "response", "content", "output", "completion")
_SCORE_KEYS = ("score", "overall_score")


@dataclass(frozen=True)
class Shape:
    """A layout of rows."""

    columns: tuple[str, ...]
    """The columns by which it is recognised."""
    read: Callable[[Row], ResponseRow]
    is_shape: Callable[[Row], bool] = lambda _: True
    """Whether a row with these columns has this layout and not a related one."""


def _responses(row: Row) -> ResponseRow:
    """Any number of responses: texts, messages, or objects with a text and perhaps a model and a score."""
    given, turns = [], []
    for number, one in enumerate(listed(row, "responses"), start=1):
        name = f"response {number}"
        if isinstance(one, Mapping) and "role" not in one:
            keys = [key for key in _TEXT_KEYS if one.get(key) is not None]
            if len(keys) != 1:
                raise RefusedRowError(
                    "unreadable response", f"{name} must have its text under one of {', '.join(_TEXT_KEYS)}"
                )
            scored = next((score_of(key, one[key]) for key in _SCORE_KEYS if one.get(key) is not None), None)
            model = name_of(one.get("model"))
            before, response = read_response(name, one[keys[0]], model=model, label=label("score", scored))
        else:
            before, response = read_response(name, one)
        given.append(response)
        turns.append(before)
    return completed(row, given, turns)


def _ultrafeedback(row: Row) -> ResponseRow:
    """UltraFeedback (Cui et al. 2023): an instruction, and completions with their model and overall score."""
    given = []
    for number, one in enumerate(listed(row, "completions"), start=1):
        if not isinstance(one, Mapping) or "response" not in one:
            raise RefusedRowError("unreadable response", f"completion {number} has no `response`")
        score = label("score", score_of("overall_score", one.get("overall_score")))
        name, model = f"completion {number}", name_of(one.get("model"))
        given.append(read_response(name, one["response"], model=model, label=score)[1])
    return completed(row, given, prompt=row.get("instruction"))


def _pairs(row: Row) -> ResponseRow:
    """A chosen and a rejected response: texts, or messages with or without the turns before them."""
    _refuse_missing(row, ("chosen", "rejected"))
    read = [read_response(side, row[side]) for side in _SIDES]
    return _of_two(row, read, [row.get("score_chosen"), row.get("score_rejected")])


def _hh(row: Row) -> ResponseRow:
    """HH-RLHF (Bai et al. 2022): two transcripts that differ in their last turn."""
    _refuse_missing(row, ("chosen", "rejected"))
    for side in _SIDES:
        if not isinstance(row[side], str):
            raise RefusedRowError("unreadable response", f"`{side}` is not a text")
    read = [read_transcript(side, row[side]) for side in _SIDES]
    return _of_two(row, [(before, GivenResponse(text=text)) for before, text in read], [None, None])


def _of_two(
    row: Row, read: Sequence[tuple[tuple[Message, ...], GivenResponse]], scores: Sequence[object]
) -> ResponseRow:
    """Return a row of a chosen and a rejected response. Where their scores are equal, the file prefers neither."""
    chosen, rejected = (score_of(f"score_{side}", one) for side, one in zip(_SIDES, scores, strict=True))
    tied = chosen is not None and chosen == rejected
    labels = [label("score", chosen)] * 2 if tied else [label("chosen", CHOSEN), label("chosen", REJECTED)]
    given = [
        response.model_copy(update={"model": _model_of(row, side), "label": one})
        for (_, response), side, one in zip(read, _SIDES, labels, strict=True)
    ]
    return completed(row, given, [before for before, _ in read])


_SIDES = ("chosen", "rejected")


def _model_of(row: Row, side: str) -> str | None:
    return next((name for key in (f"{side}_model", f"{side}-model") if (name := name_of(row.get(key)))), None)


def _rewardbench(row: Row) -> ResponseRow:
    """RewardBench 2 (Malik et al. 2025): lists of chosen and of rejected responses."""
    given = []
    for side, value in (("chosen", CHOSEN), ("rejected", REJECTED)):
        for one in listed(row, side):
            given.append(read_response(side, one, label=label("chosen", value))[1])
    return completed(row, given)


def _judgebench(row: Row) -> ResponseRow:
    """JudgeBench (Tan et al. 2024): two responses and a label such as `A>B`."""
    known = {"A>B": (1.0, 0.0), "B>A": (0.0, 1.0), "A=B": (0.5, 0.5)}
    given = "".join(str(row.get("label") or "").split())
    if row.get("label") is not None and given not in known:
        raise RefusedRowError("unreadable label", f"label is {row['label']!r:.60}; must be A>B, B>A or A=B")
    model = name_of(row.get("response_model"))
    return _labelled_two(row, ("response_A", "response_B"), known.get(given), row.get("question"), model)


def _outputs(row: Row) -> ResponseRow:
    """LLMBar (Zeng et al. 2024): two outputs and the number of the better one."""
    known = {"1": (1.0, 0.0), "2": (0.0, 1.0), "1.0": (1.0, 0.0), "2.0": (0.0, 1.0), "tie": (0.5, 0.5)}
    given = str(row.get("label")).strip()
    if row.get("label") is not None and (isinstance(row["label"], bool) or given not in known):
        raise RefusedRowError("unreadable label", f"label is {row['label']!r:.60}; must be 1, 2 or tie")
    return _labelled_two(row, ("output_1", "output_2"), known.get(given), None, None)


def _labelled_two(
    row: Row, columns: tuple[str, str], values: tuple[float, float] | None, prompt: object, model: str | None
) -> ResponseRow:
    _refuse_missing(row, columns)
    labels: list[FileLabel | None] = [label("label", value) for value in values or (None, None)]
    read = [
        read_response(column, row[column], model=model, label=one) for column, one in zip(columns, labels, strict=True)
    ]
    first = None if values is None or values[0] == values[1] else values[0] > values[1]
    turns, given = zip(*read, strict=True)
    return completed(row, given, turns, prompt=prompt, first_is_better=first)


def _refuse_missing(row: Row, columns: Sequence[str]) -> None:
    if any(row.get(column) is None for column in columns):
        needed = " and ".join(f"`{column}`" for column in columns)
        raise RefusedRowError("no responses", f"needs {needed} (it has {columns_of(row)})")


def _is_listed(row: Row) -> bool:
    cells = [row.get(side) for side in _SIDES]  # not decoded: a response may be a list in JSON
    return any(isinstance(cell, list | tuple) and all(isinstance(one, str) for one in cell) for cell in cells)


def _is_hh(row: Row) -> bool:
    apart = row.get("prompt") is not None or row.get("messages") is not None
    return not apart and any(is_transcript(row.get(side)) for side in _SIDES)


SHAPES: Mapping[str, Shape] = {
    "responses": Shape(("responses",), _responses),
    "pairs": Shape(_SIDES, _pairs, lambda row: not _is_listed(row) and not _is_hh(row)),
    "hh": Shape(_SIDES, _hh, _is_hh),
    "rewardbench": Shape(_SIDES, _rewardbench, _is_listed),
    "ultrafeedback": Shape(("instruction", "completions"), _ultrafeedback),
    "judgebench": Shape(("question", "response_A", "response_B"), _judgebench),
    "outputs": Shape(("output_1", "output_2"), _outputs),
}
"""All layouts, by the value of `--shape`."""
COLUMNS = ("prompt", "messages", "input", "responses", "chosen", "rejected", "output_1", "output_2", "label")
"""Columns of the layouts that are not one dataset's own; `--column` may give them another name."""
