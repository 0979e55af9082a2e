"""The critic points out what is wrong with one response under the principles drawn for this round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlaif.config.run import RevisionConfig
from rlaif.constitution.schema import Example, Principle
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import Model, StoredReply
from rlaif.records import Critique, Message, Prompt, Response
from rlaif.seeds import derive_seed
from rlaif.templates import Templates, conversation_text, fence_tag, unfenced


def worked(principles: Sequence[Principle], turn: Callable[[Example], tuple[str, str]]) -> list[Message]:
    """Return the examples of these principles as (question, answer) turns, asked in the same words."""
    messages = []
    for principle in principles:
        for example in principle.examples:
            question, answer = turn(example)
            messages += [user(question), Message(role="assistant", content=answer)]
    return messages


@dataclass(frozen=True)
class Round:
    """One round of critique and revision of one response: what both steps need to know."""

    prompt: Prompt
    response: Response
    number: int
    """From 1."""
    principles: Sequence[Principle]
    settings: RevisionConfig
    run_seed: int
    priority: int

    def seed(self, step: str) -> int:
        """Return the seed of a step of this round; a revision's id tells the rounds apart."""
        return derive_seed(self.run_seed, self.prompt.id, step, self.response.id)


async def critique(critic: Model, templates: Templates, turn: Round) -> tuple[Critique, StoredReply]:
    """Return the critique of one response in one round."""
    tag = fence_tag(turn.prompt, turn.response.text)

    def ask(conversation: str, response: str) -> str:
        return templates.render(
            "critique",
            conversation=conversation,
            response=response,
            principles=turn.principles,
            tag=tag,
        )

    def shown(example: Example) -> tuple[str, str]:
        return ask(example.prompt, example.response), example.critique

    question = ask(conversation_text(turn.prompt.messages), turn.response.text)
    answer = await critic.chat(
        ChatRequest(
            messages=(*worked(turn.principles, shown), user(question)),
            seed=turn.seed("critique"),
            temperature=turn.settings.temperature,
            max_tokens=turn.settings.critique_max_tokens,
        ),
        priority=turn.priority,
        step="critique",
    )
    return Critique(
        of=turn.response.id,
        round=turn.number,
        principles=tuple(principle.id for principle in turn.principles),
        text=unfenced(answer.reply.choices[0].text, tag),
        model=critic.name,
        seed=turn.seed("critique"),
        reply=answer.key,
    ), answer
