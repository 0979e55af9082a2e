"""The critic (or the policy) revises a response after a critique; revisions that copy the request are marked."""

import re
from collections.abc import Sequence

from rlaif.constitution.schema import Example
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import Model, StoredReply
from rlaif.records import Critique, Response
from rlaif.steps.critique import Round, worked
from rlaif.templates import Templates, fence_tags, prompt_text, unfenced

RUN_OF_WORDS = 8
"""A run of this many words that occurs in both texts counts as copied."""
LONG_PART = 60
"""Characters of a part that is left out of a search; shorter ones may be part of an instruction by chance."""


def copied_words(text: str, asked: Sequence[str], allowed: Sequence[str]) -> str | None:
    """Return the first run of RUN_OF_WORDS words in `text` that occurs in `asked` but not in `allowed`, or None."""
    words = _plain(text).split()
    runs = [" ".join(words[start : start + RUN_OF_WORDS]) for start in range(len(words) - RUN_OF_WORDS + 1)]
    # One text to search in: a run has no line break, so it cannot reach over two of the sources.
    source = "\n".join(map(_plain, _without(asked, allowed)))
    copied = [run for run in dict.fromkeys(runs) if f" {run} " in source]
    exempt = [_plain(part) for part in allowed] if copied else []
    return next((run for run in copied if not any(f" {run} " in part for part in exempt)), None)


def _without(texts: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Return the texts without these parts where they are long: they are most of a request, and need no search."""
    for part in parts:
        if len(part) > LONG_PART:
            texts = [text.replace(part, " \n ") for text in texts]
    return list(texts)


def words_around(text: str, tags: Sequence[str]) -> str | None:
    """Return the first word of `text` that contains one of the tags, with three words on each side, or None."""
    if not any(tag in text for tag in tags):
        return None
    words = text.split()
    for place, word in enumerate(words):
        if any(tag in word for tag in tags):
            return " ".join(words[max(0, place - 3) : place + 4])
    return None


def _plain(text: str) -> str:
    """Return the words in lower case without punctuation, one space around each."""
    return " " + " ".join(re.findall(r"\w+", text.lower())) + " "


async def revise(reviser: Model, templates: Templates, turn: Round, found: Critique) -> tuple[Response, StoredReply]:
    """Return the revision of the response in `turn` after the critique `found`."""
    tags = fence_tags(turn.prompt, turn.response.text, found.text)
    tag = tags[-1]

    def ask(conversation: str, response: str, critique: str) -> str:
        return templates.render(
            "revise",
            conversation=conversation,
            response=response,
            critique=critique,
            principles=turn.principles,
            tag=tag,
        )

    def shown(example: Example) -> tuple[str, str]:
        return ask(example.prompt, example.response, example.critique), example.revision

    conversation = prompt_text(turn.prompt)
    asked = (*worked(turn.principles, shown), user(ask(conversation, turn.response.text, found.text)))
    stored = await reviser.chat(
        ChatRequest(
            messages=asked,
            seed=turn.seed("revise"),
            temperature=turn.settings.temperature,
            max_tokens=turn.settings.max_tokens,
        ),
        priority=turn.priority,
        step="revision",
    )
    choice = stored.reply.choices[0]
    text = unfenced(choice.text, *tags)
    leaked = words_around(text, tags)
    return Response(
        id=f"{turn.response.id.partition('.')[0]}.r{turn.number}",
        text=text,
        origin="revision",
        parent=turn.response.id,
        model=reviser.name,
        policy=turn.response.policy,
        seed=turn.seed("revise"),
        finish_reason=choice.finish_reason,
        tokens=stored.reply.usage.completion_tokens,
        reasoning=choice.reasoning,
        again=choice.again,
        copied=leaked or copied_words(text, [m.content for m in asked], [conversation, turn.response.text, found.text]),
        reply=stored.key,
    ), stored
