"""The critic criticises one response under the principles drawn for this round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlaif.config.run import RevisionConfig
from rlaif.constitution.schema import Example, Principle
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import Model, StoredReply
from rlaif.records import Critique, Message, Prompt, Response
from rlaif.seeds import derive_seed
from rlaif.templates import Templates, fence_tag, prompt_text, unfenced


def worked(principles: Sequence[Principle], turn: Callable[[Example], tuple[str, str]]) -> list[Message]:
    """Return the examples of these principles as turns of user and assistant; `turn` gives the two texts of one."""
    messages = []
    for principle in principles:
        for example in principle.examples:
            question, reply = turn(example)
            messages += [user(question), Message(role="assistant", content=reply)]
    return messages


@dataclass(frozen=True)
class Round:
    """One round of critique and revision of one response: the input of both steps."""

    prompt: Prompt
    response: Response
    number: int
    """Number of the round, from 1."""
    principles: Sequence[Principle]
    settings: RevisionConfig
    run_seed: int
    priority: int

    def seed(self, step: str) -> int:
        """Return the seed of a step of this round; rounds differ by the id of the response."""
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

    question = ask(prompt_text(turn.prompt), turn.response.text)
    stored = await critic.chat(
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
        text=unfenced(stored.reply.choices[0].text, tag),
        model=critic.name,
        seed=turn.seed("critique"),
        reasoning=stored.reply.choices[0].reasoning,
        reply=stored.key,
    ), stored
