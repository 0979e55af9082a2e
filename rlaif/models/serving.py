"""Connect the models of a run: servers are shared where possible, and managed ones started when they are needed."""

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
"""Least number of cores used by other programs that is reported."""


@dataclass(frozen=True)
class Clients:
    """The connected policy and critic; one client where both are the same model on the same server."""

    policy: ModelClient
    critic: ModelClient
    judges: Mapping[str, ModelClient] = field(default_factory=dict)
    """By the judges' names: the clients of judges that have a critic of their own."""
    policies: Mapping[str, ModelClient] = field(default_factory=dict)
    """By name, where there are several policies."""

    @property
    def all(self) -> tuple[ModelClient, ...]:
        """Every client once."""
        every = (self.policy, self.critic, *self.judges.values(), *self.policies.values())
        return tuple({id(client): client for client in every}.values())


@asynccontextmanager
async def open_clients(
    policy: ModelConfig,
    critic: ModelConfig,
    *,
    judges: Mapping[str, ModelConfig] = MappingProxyType({}),
    policies: Mapping[str, ModelConfig] = MappingProxyType({}),
    logs: Path,
    say: Callable[[str], None],
) -> AsyncIterator[Clients]:
    """Yield all models, connected; a managed server starts with its first request and ends with the context.

    `judges` are the critics of judges that have one of their own, by the judges' names; `policies` are all policies by
    name, where there are several. Raises EndpointError when a
    running server cannot be reached, UsageError when a model is not served.
    """
    servers: list[ModelConfig] = []
    for config in (policy, critic, *judges.values(), *policies.values()):
        if not any(_same_server(config, other) for other in servers):
            servers.append(config)
    to_start = [config for config in servers if config.managed]
    async with AsyncExitStack() as stack:
        opened = []
        for config in servers:
            share = Share(to_start.index(config), len(to_start)) if config.managed else ALONE
            opened.append((config, await _open(stack, config, logs, say, share)))

        def client(config: ModelConfig) -> ModelClient:
            return next(client for other, client in opened if _same_server(config, other))

        clients = Clients(
            client(policy),
            client(critic),
            {name: client(model) for name, model in judges.items()},
            {name: client(model) for name, model in policies.items()},
        )
        refuse_too_little_memory([(managed.model, managed.launch) for managed in _managed(clients) if managed.launch])
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
    """Return (policy, critic) of a run, with its reply store, meter and chat template settings."""
    return (
        Model(clients.policy, store, meter, policy.chat_template_kwargs),
        Model(clients.critic, store, meter, critic.chat_template_kwargs),
    )


def policy_through(clients: Clients, name: str, config: ModelConfig, store: ReplyStore, meter: Meter) -> Model:
    """Return one of several policies."""
    return Model(clients.policies[name], store, meter, config.chat_template_kwargs)


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
    """Yield (policy, critic), connected. Raises what `open_clients` raises."""
    async with open_clients(policy, critic, logs=logs, say=say) as clients:
        yield asked_through(clients, policy, critic, store, meter)


def launches_of(clients: Clients) -> tuple[Launch, ...]:
    """Return the planned starts of the managed servers."""
    return tuple(client.launch for client in _managed(clients) if client.launch is not None)


def expected_speed(clients: Clients) -> float | None:
    """Return the expected prompt tokens per second of the managed servers together; None where it is not known."""
    speeds = [launch.read_speed for launch in launches_of(clients)]
    return sum(speed for speed in speeds if speed) if speeds and all(speeds) else None


def _managed(clients: Clients) -> list[ManagedClient]:
    return [client for client in clients.all if isinstance(client, ManagedClient)]


def slowness(launches: Sequence[Launch]) -> tuple[list[str], list[str]]:
    """Return (causes of a slow run, what would help) as phrases; measures for a second.

    Without a managed server on this machine's CPU, there are no causes: nothing is known about other servers.
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
            causes.append(f"other programs use {busy:.1f} of them")
            helps.insert(0, "no other programs")
    return causes, [*helps, "fewer judging.principles"]
