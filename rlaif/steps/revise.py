"""Critic or policy rewrites one response so that it meets its critique."""

from rlaif.constitution.schema import Example
from rlaif.models.model import Model, StoredReply
from rlaif.models.wire import ChatRequest, user
from rlaif.records import Critique, Response
from rlaif.steps.copying import copied_words, words_around
from rlaif.steps.critique import Round
from rlaif.steps.examples import worked
from rlaif.templates import Templates, conversation_text, fence_tags, unfenced


async def revise(reviser: Model, templates: Templates, turn: Round, found: Critique) -> tuple[Response, StoredReply]:
    """Return the revision, which knows the response it revises."""
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

    conversation = conversation_text(turn.prompt.messages)
    asked = (*worked(turn.principles, shown), user(ask(conversation, turn.response.text, found.text)))
    answer = await reviser.chat(
        ChatRequest(
            messages=asked,
            seed=turn.seed("revise"),
            temperature=turn.settings.temperature,
            max_tokens=turn.settings.max_tokens,
        ),
        priority=turn.priority,
        step="revision",
    )
    choice = answer.reply.choices[0]
    text = unfenced(choice.text, *tags)
    leaked = words_around(text, tags)
    return Response(
        id=f"{turn.response.id.partition('.')[0]}.r{turn.number}",
        text=text,
        origin="revision",
        parent=turn.response.id,
        model=reviser.name,
        seed=turn.seed("revise"),
        finish_reason=choice.finish_reason,
        tokens=answer.reply.usage.completion_tokens,
        reasoning=choice.reasoning,
        copied=leaked or copied_words(text, [m.content for m in asked], [conversation, turn.response.text, found.text]),
        reply=answer.key,
    ), answer
