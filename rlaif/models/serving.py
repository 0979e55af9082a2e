"""From model configurations to connected models: servers shared where possible, started when they are needed."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.hardware import busy_elsewhere, processor, usable_cores
from rlaif.models.launch import ALONE, Launch, Share, refuse_too_little_memory
from rlaif.models.managed import ManagedClient
from rlaif.models.model import Meter, Model
from rlaif.models.reply_store import ReplyStore

NOTICEABLE_CORES = 0.3
"""Cores kept busy by other programs that are worth a warning."""


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
    """Yield all models, connected; a managed server starts with its first request and ends with the context.

    `judges` are the models of judges that have a critic of their own, by the judges' names. Raises EndpointError when a
    server that should be running cannot be reached, UsageError when a name is not served.
    """
    servers: list[ModelConfig] = []
    for config in (policy, critic, *judges.values()):
        if not any(_same_server(config, other) for other in servers):
            servers.append(config)
    managed = [config for config in servers if config.managed]
    async with AsyncExitStack() as stack:
        opened = []
        for config in servers:
            share = Share(managed.index(config), len(managed)) if config.managed else ALONE
            opened.append((config, await _open(stack, config, logs, say, share)))

        def client(config: ModelConfig) -> ModelClient:
            return next(client for other, client in opened if _same_server(config, other))

        clients = Clients(client(policy), client(critic), {name: client(model) for name, model in judges.items()})
        refuse_too_little_memory([(one.model, one.launch) for one in _managed(clients) if one.launch])
        yield clients


async def _open(
    stack: AsyncExitStack, config: ModelConfig, logs: Path, say: Callable[[str], None], share: Share
) -> ModelClient:
    log = logs / f"{(config.model or 'model').strip('/').replace('/', '--')}.log"
    client = ManagedClient(config, stack, log, say=say, share=share) if config.managed else ModelClient(config)
    await stack.enter_async_context(client)
    await client.connect()
    return client


def _same_server(one: ModelConfig, other: ModelConfig) -> bool:
    if one.managed and other.managed:
        start = {"model", "dtype", "vllm_args", "max_model_len", "top_logprobs"}
        return one.model_dump(include=start) == other.model_dump(include=start)
    return one.model_dump(exclude={"chat_template_kwargs"}) == other.model_dump(exclude={"chat_template_kwargs"})


def asked_through(
    clients: Clients, policy: ModelConfig, critic: ModelConfig, store: ReplyStore, meter: Meter
) -> tuple[Model, Model]:
    """Return (policy, critic) of a run: with its reply store, its counts and its chat template's settings."""
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


def launches_of(clients: Clients) -> tuple[Launch, ...]:
    """Return how the managed servers are started."""
    return tuple(client.launch for client in _managed(clients) if client.launch is not None)


def expected_speed(clients: Clients) -> float | None:
    """Return the prompt tokens per second that managed servers should read; None where that is not known."""
    speeds = [launch.read_speed for launch in launches_of(clients)]
    return sum(speed for speed in speeds if speed) if speeds and all(speeds) else None


def _managed(clients: Clients) -> list[ManagedClient]:
    found = {id(client): client for client in (clients.policy, clients.critic, *clients.judges.values())}
    return [client for client in found.values() if isinstance(client, ManagedClient)]


def slowness(launches: Sequence[Launch]) -> tuple[list[str], list[str]]:
    """Return (causes, what would help) of slow managed servers on a CPU; takes a second to measure.

    There are no causes where no server is on this machine's CPU: nothing is known of others.
    """
    causes, helps = [], []
    if any(launch.on_cpu for launch in launches):
        cores = len(usable_cores())
        fast = processor().fast_bfloat16
        lacks = "" if fast else " without instructions for bfloat16 (AVX-512 BF16, AMX)"
        causes.append(f"{cores} core{'s' * (cores != 1)}{lacks}")
        helps.append("a GPU" if fast else "a GPU or a newer processor")
        busy = busy_elsewhere()
        if busy >= NOTICEABLE_CORES:
            causes.append(f"other programs keep {busy:.1f} of them busy")
            helps.insert(0, "ending the other programs")
    return causes, [*helps, "fewer judging.principles"]
