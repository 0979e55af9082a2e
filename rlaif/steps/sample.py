"""The policy writes n responses to a prompt, in one request."""

from rlaif.config.sampling import SamplingConfig
from rlaif.models.backend import ChatRequest
from rlaif.models.model import Model, StoredReply
from rlaif.records import Prompt, Response
from rlaif.seeds import derive_seed


async def sample(
    policy: Model, prompt: Prompt, sampling: SamplingConfig, run_seed: int, priority: int
) -> tuple[list[Response], StoredReply]:
    """Return the n responses of the policy, empty ones included.

    The request does not depend on the constitution, so that runs with other constitutions reuse its reply.
    """
    seed = derive_seed(run_seed, prompt.id, "sample")
    stored = await policy.chat(
        ChatRequest(
            messages=prompt.messages,
            tools=prompt.tools,
            seed=seed,
            **sampling.request(),
        ),
        priority=priority,
        step="sampling",
    )
    choices = stored.reply.choices
    tokens = stored.reply.usage.completion_tokens if len(choices) == 1 else None
    return [
        Response(
            id=f"s{index}",
            text=choice.text,
            origin="sample",
            model=policy.name,
            seed=seed + index,
            finish_reason=choice.finish_reason,
            tokens=tokens,
            reasoning=choice.reasoning,
            reply=stored.key,
        )
        for index, choice in enumerate(choices)
    ], stored
