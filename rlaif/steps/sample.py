"""The policy answers a prompt: n responses in one request."""

from rlaif.config.run import SamplingConfig
from rlaif.models.backend import ChatRequest
from rlaif.models.model import Model, StoredReply
from rlaif.records import Prompt, Response
from rlaif.seeds import derive_seed


async def sample(
    policy: Model, prompt: Prompt, sampling: SamplingConfig, run_seed: int, priority: int
) -> tuple[list[Response], StoredReply]:
    """Return the n responses of the policy, empty ones included.

    The request knows nothing of the constitution, so that all constitutions share its reply.
    """
    seed = derive_seed(run_seed, prompt.id, "sample")
    answer = await policy.chat(
        ChatRequest(
            messages=prompt.messages,
            n=sampling.n,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
        ),
        priority=priority,
        step="sampling",
    )
    choices = answer.reply.choices
    alone = answer.reply.usage.completion_tokens if len(choices) == 1 else None
    return [
        Response(
            id=f"s{index}",
            text=choice.text,
            origin="sample",
            model=policy.name,
            seed=seed + index,
            finish_reason=choice.finish_reason,
            tokens=alone,
            reasoning=choice.reasoning,
            reply=answer.key,
        )
        for index, choice in enumerate(choices)
    ], answer
