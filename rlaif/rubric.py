"""A rubric: what is asked of the responses to one prompt, beside the constitution's principles."""

from pydantic import Field, ValidationError

from rlaif.base import Record
from rlaif.errors import PromptsError
from rlaif.yaml_file import explain_validation

RUBRIC = "rubric"
"""The judge of its items in verdicts and reports, and the prefix of their ids: `rubric:1`."""


class RubricItem(Record):
    """One demand of a rubric."""

    text: str = Field(min_length=1)
    """What is asked of a response, such as `names the capital`."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    essential: bool = False
    """Whether it decides before everything else; a reward is at most the probability that it is met."""


def rubric_of(where: str, value: object) -> tuple[RubricItem, ...]:
    """Return a row's rubric, a list of texts or of objects with `text`, `weight`, `essential`. Raises PromptsError."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise PromptsError(f"{where}: a rubric must be a list of texts or of objects with `text`")
    return tuple(_item(f"{where}: item {number} of the rubric", one) for number, one in enumerate(value, start=1))


def _item(where: str, value: object) -> RubricItem:
    given = {"text": value} if isinstance(value, str) else value
    if isinstance(given, dict):
        given = {name: part for name, part in given.items() if part is not None}
    try:
        return RubricItem.model_validate(given)
    except ValidationError as error:
        raise PromptsError(f"{where}: {explain_validation(error, RubricItem)}") from None


def named_items(rubric: tuple[RubricItem, ...] | None) -> dict[str, RubricItem]:
    """Return the items by their ids."""
    return {f"{RUBRIC}:{number}": item for number, item in enumerate(rubric or (), start=1)}


def described_items(rubric: tuple[RubricItem, ...] | None) -> tuple[tuple[str, str], ...]:
    """Return (id with weight, text) of the items, as reports show them."""
    return tuple(
        (f"{name} (weight {item.weight:g}{', essential' if item.essential else ''})", item.text)
        for name, item in named_items(rubric).items()
    )
