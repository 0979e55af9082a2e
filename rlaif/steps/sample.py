"""A policy writes n responses to a prompt, in one request."""

from rlaif.config.sampling import PolicySampling
from rlaif.models.backend import ChatRequest
from rlaif.models.model import Model, StoredReply
from rlaif.records import Message, Prompt, Response
from rlaif.seeds import derive_seed


async def sample(
    policy: Model,
    prompt: Prompt,
    asked: PolicySampling,
    run_seed: int,
    priority: int,
    *,
    system: str = "",
    first: int = 0,
) -> tuple[list[Response], StoredReply]:
    """Return the n responses of a policy, empty ones included; the id of the first one is `s` and the number `first`.

    The request does not depend on the constitution unless the system prompt does, so that runs with other constitutions
    reuse its reply.
    """
    seed, sampling = derive_seed(run_seed, prompt.id, "sample"), asked.sampling
    stored = await policy.chat(
        ChatRequest(
            messages=with_system(prompt.messages, system),
            tools=prompt.tools,
            n=sampling.n,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
            extra=sampling.extra,
        ),
        priority=priority,
        step="sampling",
    )
    choices = stored.reply.choices
    tokens = stored.reply.usage.completion_tokens if len(choices) == 1 else None
    return [
        Response(
            id=f"s{first + index}",
            text=choice.text,
            origin="sample",
            model=policy.name,
            policy=asked.name,
            seed=seed + index,
            finish_reason=choice.finish_reason,
            tokens=tokens,
            reasoning=choice.reasoning,
            again=choice.again,
            reply=stored.key,
        )
        for index, choice in enumerate(choices)
    ], stored


def with_system(messages: tuple[Message, ...], system: str) -> tuple[Message, ...]:
    """Return a conversation with a system prompt, which stands before the conversation's own where it has one."""
    if not system:
        return messages
    if messages[0].role in {"system", "developer"}:
        own = messages[0]
        return (own.model_copy(update={"content": f"{system}\n\n{own.content}"}), *messages[1:])
    return (Message(role="system", content=system), *messages)
