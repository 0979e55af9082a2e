"""From model configurations to models that answer: servers shared where possible, started when they are needed."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from rlaif.models.config import ModelConfig
from rlaif.models.launch import ALONE, Launch, Share, refuse_too_little_memory
from rlaif.models.model import Meter, Model
from rlaif.models.openai import ModelClient
from rlaif.models.reply_store import ReplyStore
from rlaif.models.starting import ManagedClient


@dataclass(frozen=True)
class Clients:
    """The connected policy and critic; one client where both are the same model on the same server."""

    policy: ModelClient
    critic: ModelClient
    judges: Mapping[str, ModelClient] = field(default_factory=dict)
    """By the judges' names, those that have a critic of their own."""


@asynccontextmanager
async def open_clients(
    policy: ModelConfig,
    critic: ModelConfig,
    *,
    judges: Mapping[str, ModelConfig] = MappingProxyType({}),
    logs: Path,
    say: Callable[[str], None],
) -> AsyncIterator[Clients]:
    """Yield all models, connected; a server started here starts with its first question and ends with the context.

    `judges` are the models of judges that have a critic of their own, by the judges' names. Raises
    EndpointError when one that should run is not there, UsageError when a name is not served.
    """
    wanted = [policy, critic, *judges.values()]
    servers: list[ModelConfig] = []
    for config in wanted:
        if not any(_same_server(config, other) for other in servers):
            servers.append(config)
    started_here = [config for config in servers if config.managed]
    async with AsyncExitStack() as stack:
        reached = []
        for config in servers:
            share = Share(started_here.index(config), len(started_here)) if config.managed else ALONE
            reached.append((config, await _reach(stack, config, logs, say, share)))
        clients = [client for _, client in reached if isinstance(client, ManagedClient)]
        refuse_too_little_memory([(client.model, client.launch) for client in clients if client.launch])

        def client(config: ModelConfig) -> ModelClient:
            return next(client for other, client in reached if _same_server(config, other))

        own = {called: client(model) for called, model in judges.items()}
        yield Clients(client(policy), client(critic), own)


def launches_of(clients: Clients) -> tuple[Launch, ...]:
    """Return how the servers that are started here are started."""
    found = {id(client): client for client in (clients.policy, clients.critic, *clients.judges.values())}
    return tuple(c.launch for c in found.values() if isinstance(c, ManagedClient) and c.launch is not None)


def expected_speed(clients: Clients) -> float | None:
    """Return the prompt tokens a second that servers started here should read; None where that isn't known."""
    speeds = [launch.read_speed for launch in launches_of(clients)]
    return sum(speed for speed in speeds if speed) if speeds and all(speeds) else None


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
    stack: AsyncExitStack, config: ModelConfig, logs: Path, say: Callable[[str], None], share: Share
) -> ModelClient:
    if config.managed:
        log = logs / f"{(config.model or 'model').strip('/').replace('/', '--')}.log"
        client: ModelClient = ManagedClient(config, stack, log, say=say, share=share)
    else:
        client = ModelClient(config)
    await stack.enter_async_context(client)
    await client.connect()
    return client


def _same_server(policy: ModelConfig, critic: ModelConfig) -> bool:
    if policy.managed and critic.managed:
        start = {"model", "dtype", "vllm_args", "max_model_len", "top_logprobs"}
        return policy.model_dump(include=start) == critic.model_dump(include=start)
    apart = {"chat_template_kwargs"}
    return policy.model_dump(exclude=apart) == critic.model_dump(exclude=apart)
