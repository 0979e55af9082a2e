"""Read rows that bring responses: prompts whose responses are given, the counts of the file, and the rows refused.

rows = prompts + refused (by reason). A row is refused for what it has; what concerns the whole file (no such file, JSON
that is broken, columns of no known layout) is raised.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, count

from rlaif.config.run import ResponsesConfig
from rlaif.datasets.files import read_rows
from rlaif.datasets.prompts import locate, prompt_of_row
from rlaif.datasets.shapes.recognition import ShapeReader
from rlaif.datasets.shapes.row import RefusedRowError, ResponseRow
from rlaif.errors import PromptsError
from rlaif.records import Prompt, PromptSet
from rlaif.runs.given import GivenFile, RefusedRow
from rlaif.seeds import canonical_json, content_hash
from rlaif.text.wording import counted

_OWN_IDS = ("id", "prompt_id", "pair_id")
_PLACE = re.compile(r"(?:entry|row) \d+$|\d+$")


@dataclass(frozen=True)
class GivenResponses:
    """The prompts of a file with their responses, and what else was in it."""

    prompts: PromptSet
    file: GivenFile
    refused: tuple[RefusedRow, ...]


def read_responses(config: ResponsesConfig) -> GivenResponses:
    """Return the rows of a file. Raises PromptsError for a file that cannot be read, or of which no row can be used."""
    reader = ShapeReader(config.shape, config.columns)
    found = _Found({}, {})
    refused: list[RefusedRow] = []
    rows = 0
    for where, row in read_rows(locate(config.path), config.split):
        rows += 1
        place = _place(where)
        try:
            found.add(_prompt_of(where, place, reader.read(where, row), row))
        except RefusedRowError as error:
            refused.append(RefusedRow(row=place, reason=error.reason, detail=str(error)))
        if len(found.prompts) == config.limit:
            break
    if not found.prompts:
        first = f"; {refused[0].row}: {refused[0].detail}" if refused else ""
        raise PromptsError(f"{config.path}: contains no row that can be labelled, of {counted(rows, 'row')}{first}")
    prompts = list(found.prompts.values())
    counts = dict(Counter(one.reason for one in refused))
    file = GivenFile(file=config.path, shape=reader.line, rows=rows, refused=counts, models=_models(prompts))
    return GivenResponses(PromptSet(prompts, 0, config.path), file, tuple(refused))


@dataclass
class _Found:
    """The prompts so far."""

    prompts: dict[str, Prompt]
    """By id."""
    contents: dict[str, str]
    """Places of rows by their content."""

    def add(self, prompt: Prompt) -> None:
        """Add a prompt; where an earlier one has its id, as ID#2, ID#3, … Raises RefusedRowError for a repeated row."""
        content = _content(prompt)
        if content in self.contents:
            earlier = self.contents[content]
            raise RefusedRowError("repeated row", f"has the same prompt, responses and labels as {earlier}")
        self.contents[content] = prompt.row or ""
        names = chain([prompt.id], (f"{prompt.id}#{number}" for number in count(2)))
        name = next(name for name in names if name not in self.prompts)
        self.prompts[name] = prompt.model_copy(update={"id": name})


def _models(prompts: Iterable[Prompt]) -> dict[str, int]:
    """Return the number of responses by the name of their model."""
    return dict(Counter(one.model for prompt in prompts for one in prompt.given or () if one.model is not None))


def _place(where: str) -> str:
    """Return the place inside the file: a run may be continued where the file is elsewhere."""
    found = _PLACE.search(where)
    place = found.group() if found else where
    return f"line {place}" if place.isdecimal() else place


def _prompt_of(where: str, place: str, read: ResponseRow, row: dict[str, object]) -> Prompt:
    try:
        prompt = prompt_of_row(where, dict(read.asked), {})
    except PromptsError as error:
        message = str(error).removeprefix(f"{where}: ")
        raise RefusedRowError("no prompt" if "no text" in message else "unreadable prompt", message) from None
    own = next((str(row[name]) for name in _OWN_IDS if row.get(name) not in (None, "")), None)
    prompt = prompt.model_copy(update={"given": read.responses, "row": place})
    texts = [own or "", *(f"{response.model} {response.reasoning}" for response in read.responses)]
    if any("\ud800" <= letter <= "\udfff" for letter in "".join(texts)):
        raise RefusedRowError("unreadable response", "an id, a model's name or a reasoning has half a surrogate pair")
    return prompt.model_copy(update={"id": own or content_hash(_content(prompt))})


def _content(prompt: Prompt) -> str:
    """Return what makes a row the same as another: conversation, tools, checks, rubric, responses and labels."""
    return canonical_json(prompt.model_dump(mode="json", include={"messages", "tools", "checks", "rubric", "given"}))
