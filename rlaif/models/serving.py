"""From two model configurations to two models that answer: servers started where needed, shared where possible."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rlaif.config import ModelConfig
from rlaif.models.client import ModelClient
from rlaif.models.managed import MANAGED_LOGPROBS, managed_server
from rlaif.models.model import Meter, Model
from rlaif.models.replies import ReplyStore


@asynccontextmanager
async def open_models(
    policy: ModelConfig,
    critic: ModelConfig,
    *,
    store: ReplyStore,
    meter: Meter,
    logs: Path,
    say: Callable[[str], None],
) -> AsyncIterator[tuple[Model, Model]]:
    """Yield (policy, critic), connected. The same model behind both shares one server and one client.

    Raises ServerStartError or EndpointError when one cannot be had, UsageError when a name is not served.
    """
    shared = _same_server(policy, critic)
    two_here = policy.managed and critic.managed and not shared
    async with AsyncExitStack() as stack:

        async def reach(config: ModelConfig) -> ModelClient:
            return await _reach(stack, config, logs, say, memory_share=0.45 if two_here else 0.9)

        policy_client = await reach(policy)
        critic_client = policy_client if shared else await reach(critic)
        yield (
            Model(policy_client, store, meter, policy.chat_template_kwargs),
            Model(critic_client, store, meter, critic.chat_template_kwargs),
        )


async def _reach(
    stack: AsyncExitStack, config: ModelConfig, logs: Path, say: Callable[[str], None], *, memory_share: float
) -> ModelClient:
    if config.managed:
        log = logs / f"{(config.model or 'model').strip('/').replace('/', '--')}.log"
        server = await stack.enter_async_context(managed_server(config, log, say=say, memory_share=memory_share))
        reached = config.model_copy(
            update={"url": (server.url,), "top_logprobs": config.top_logprobs or MANAGED_LOGPROBS}
        )
        client = await stack.enter_async_context(ModelClient(reached, api_key=server.api_key))
        client.died = server.died
    else:
        client = await stack.enter_async_context(ModelClient(config))
    await client.connect()
    return client


def _same_server(policy: ModelConfig, critic: ModelConfig) -> bool:
    if policy.managed and critic.managed:
        start = {"model", "vllm_args", "max_model_len", "top_logprobs"}
        return policy.model_dump(include=start) == critic.model_dump(include=start)
    apart = {"chat_template_kwargs"}
    return policy.model_dump(exclude=apart) == critic.model_dump(exclude=apart)
