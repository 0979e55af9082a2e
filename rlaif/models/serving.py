"""From two model configurations to two models that answer: servers started where needed, shared where possible."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rlaif.config import ModelConfig
from rlaif.models.client import ModelClient
from rlaif.models.managed import MANAGED_LOGPROBS, managed_server
from rlaif.models.model import Meter, Model
from rlaif.models.replies import ReplyStore


@dataclass(frozen=True)
class Clients:
    """The connected policy and critic; one client where both are the same model on the same server."""

    policy: ModelClient
    critic: ModelClient


@asynccontextmanager
async def open_clients(
    policy: ModelConfig, critic: ModelConfig, *, logs: Path, say: Callable[[str], None]
) -> AsyncIterator[Clients]:
    """Yield both models, connected; servers started here end with the context.

    Raises ServerStartError or EndpointError when one cannot be had, UsageError when a name is not served.
    """
    shared = _same_server(policy, critic)
    two_here = policy.managed and critic.managed and not shared
    async with AsyncExitStack() as stack:

        async def reach(config: ModelConfig) -> ModelClient:
            return await _reach(stack, config, logs, say, memory_share=0.45 if two_here else 0.9)

        policy_client = await reach(policy)
        yield Clients(policy_client, policy_client if shared else await reach(critic))


def asked_through(
    clients: Clients, policy: ModelConfig, critic: ModelConfig, store: ReplyStore, meter: Meter
) -> tuple[Model, Model]:
    """Return (policy, critic) as a run asks them: with its reply store, its counts and its chat template's settings."""
    return (
        Model(clients.policy, store, meter, policy.chat_template_kwargs),
        Model(clients.critic, store, meter, critic.chat_template_kwargs),
    )


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
    """Yield (policy, critic), connected, for one run alone. Raises what `open_clients` raises."""
    async with open_clients(policy, critic, logs=logs, say=say) as clients:
        yield asked_through(clients, policy, critic, store, meter)


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
