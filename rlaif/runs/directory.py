"""A run directory: what it holds, how it is made, who may write to it.

run.yaml            the resolved configuration
constitution.yaml   the rules as used
prompts/            the templates as used
manifest.json       hashes and versions; written last, so its presence says the rest is there
models.json         which models answered
run.sqlite          prompts, traces and failures with all their texts
run.lock            held by the one process that writes
summary.json        what came out
logs/               of managed servers
dataset/            what was exported
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Self

import filelock
import yaml
from pydantic import Field, ValidationError

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError, StorageError
from rlaif.judges import own_options
from rlaif.models.serving import Clients
from rlaif.records import PromptSet, Record
from rlaif.runs.store import TraceWriter
from rlaif.seeds import canonical_json, content_hash
from rlaif.templates import Templates
from rlaif.version import __version__

TRACES = "run.sqlite"
COMPARISON = "comparison.yaml"
"""By this a folder is known as that of a comparison."""
_UNFINISHED = ".unfinished"
"""Stands in a run directory while it is being made: what else stands there then is ours, and may be made again."""


class Manifest(Record):
    """What decides which questions a run asks. Two runs with the same manifest ask the same ones."""

    rlaif: str
    created: str
    constitution: str
    constitution_hash: str
    templates: dict[str, str]
    prompts: str
    prompts_hash: str
    prompt_count: int
    duplicates: int
    questions: dict[str, Any]


class ServedModels(Record):
    """Which models answered in a run."""

    policy: str
    policy_identity: str
    critic: str
    critic_identity: str
    judges: dict[str, str] = Field(default_factory=dict)
    """By the judges' names, the models of those that have a critic of their own."""
    judge_identities: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, clients: Clients) -> Self:
        """Return the models behind connected clients."""
        return cls(
            policy=clients.policy.model,
            policy_identity=clients.policy.identity,
            critic=clients.critic.model,
            critic_identity=clients.critic.identity,
            judges={name: client.model for name, client in clients.judges.items()},
            judge_identities={name: client.identity for name, client in clients.judges.items()},
        )


@contextmanager
def locked(path: Path, own: str = "manifest.json") -> Iterator[None]:
    """Hold a directory as its only writer. Raises RunDirectoryError when somebody else does.

    `own` is the file by which a directory that is not empty is known to be of the right kind.
    """
    _refuse_strangers(path, own)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path / "run.lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        holder = read_text(path / "run.pid")
        raise RunDirectoryError(f"{path} is being written by another process ({holder or 'unknown'})") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        write_text(path / "run.pid", f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        (path / "run.pid").unlink(missing_ok=True)
        lock.release()


def prepare(
    path: Path, config: RunConfig, constitution: Constitution, templates: Templates, prompts: PromptSet
) -> Manifest:
    """Make a new run directory, or check that the one there asks the same questions; the lock must be held.

    Raises RunDirectoryError that says what differs and what would be reused.
    """
    wanted = _manifest(config, constitution, templates, prompts)
    if (path / "manifest.json").is_file():
        found = read_manifest(path)
        _refuse_differences(path, found, wanted)
        before = RunConfig.load(path / "run.yaml")
        judging = _reached_as_before(config.judging, before.judging)
        _write_config(path, before.model_copy(update={"judging": judging, "pairs": config.pairs}))
        return found
    _create(path, config, constitution, templates, prompts, wanted)
    return wanted


def _reached_as_before(judging: JudgingConfig, before: JudgingConfig) -> JudgingConfig:
    """Return new thresholds with the judges' old critics: which models answer is settled when they are connected."""
    critics = {judge.called: judge.critic for judge in before.judges}
    judges = tuple(
        judge.model_copy(update={"critic": critics.get(judge.called, judge.critic)}) for judge in judging.judges
    )
    return judging.model_copy(update={"judges": judges})


def read_manifest(path: Path) -> Manifest:
    """Read a run's manifest. Raises RunDirectoryError when there is none."""
    try:
        return Manifest.model_validate_json((path / "manifest.json").read_bytes())
    except OSError:
        raise RunDirectoryError(_why_no_run(path)) from None
    except ValidationError as error:
        raise RunDirectoryError(
            f"{path}/manifest.json was written by another version ({error.errors()[0]['msg']})"
        ) from None


def _why_no_run(path: Path) -> str:
    if (path / COMPARISON).is_file():
        runs = [str(run.parent) for run in sorted(path.glob("runs/*/manifest.json"))]
        return f"{path} is a comparison; its runs are {' and '.join(runs) or f'named in {path / COMPARISON}'}"
    if path.exists():
        return f"{path} is not a run directory: it has no manifest.json"
    there = sorted(run.parent.name for run in path.parent.glob("*/manifest.json"))
    return f"{path}: no such folder" + (f"; in {path.parent} there are {', '.join(there)}" if there else "")


def free_place(path: Path) -> Path:
    """Return the first folder beside this one that does not exist: runs/mine-2, runs/mine-3, …"""
    return next(place for n in count(2) if not (place := path.parent / f"{path.resolve().name}-{n}").exists())


def read_config(path: Path) -> RunConfig:
    """Read the configuration of a run, to be continued where the directory stands now."""
    read_manifest(path)
    config = RunConfig.load(path / "run.yaml")
    return config.model_copy(
        update={"out": str(path), "constitution": str(path / "constitution.yaml"), "templates": str(path / "prompts")}
    )


def settle_models(path: Path, served: ServedModels, config: RunConfig, *, anew: bool = False) -> None:
    """Note which models answer and how they are reached, or check that they are still the same.

    `anew` says that nothing was made with those before: a model that could not be started may be replaced.

    Raises RunDirectoryError when they are not.
    """
    file = path / "models.json"
    if anew or not file.is_file():
        write_text(file, served.model_dump_json(indent=2))
    before = read_models(path)
    was_of, now_of = _identities(before), _identities(served)
    for role, now in now_of.items():
        was = was_of.get(role, now)
        if was != now:
            raise RunDirectoryError(
                f"{path} was made with the {role} {was}, but {now} answers now; "
                "a run has one model per role: choose another --out"
            )
    reached = RunConfig.load(path / "run.yaml").model_copy(
        update={name: getattr(config, name) for name in ("policy", "critic", "judging", "cache", "open_prompts")}
    )
    _write_config(path, reached)


def _identities(served: ServedModels) -> dict[str, str]:
    judges = {f"judge {name}": identity for name, identity in served.judge_identities.items()}
    return {"policy": served.policy_identity, "critic": served.critic_identity, **judges}


def read_models(path: Path) -> ServedModels:
    """Read which models answered. Raises RunDirectoryError when none has yet."""
    try:
        return ServedModels.model_validate_json((path / "models.json").read_bytes())
    except (OSError, ValidationError):
        raise RunDirectoryError(f"{path}: no model has answered in this run yet") from None


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a JSON file in one step. Raises StorageError when the disk is full."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _refuse_strangers(path: Path, own: str) -> None:
    """Raise RunDirectoryError for a folder with files that are neither ours nor those of one being made."""
    if path.is_dir() and not (path / own).exists() and not (path / _UNFINISHED).exists():
        strangers = sorted(file.name for file in path.iterdir() if file.name not in {"run.lock", "run.pid"})
        if strangers:
            listed = ", ".join(strangers[:3])
            raise RunDirectoryError(f"{path} holds something else ({listed}); choose another --out")


def _manifest(config: RunConfig, constitution: Constitution, templates: Templates, prompts: PromptSet) -> Manifest:
    return Manifest(
        rlaif=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        constitution=f"{constitution.name} v{constitution.version}",
        constitution_hash=constitution.hash,
        templates=templates.hashes,
        prompts=prompts.source,
        prompts_hash=prompts.hash,
        prompt_count=len(prompts.prompts),
        duplicates=prompts.duplicates,
        questions=config.questions() | shown_cases(config.judging, constitution),
    )


def shown_cases(judging: JudgingConfig, constitution: Constitution) -> dict[str, str]:
    """Return what names the cases that judges are shown as worked examples; a constitution's hash leaves cases out."""
    shown = judging.worked_cases
    cases = [case.model_dump_json() for principle in constitution.asked for case in principle.cases[:shown]]
    return {"cases": content_hash(*cases)} if shown else {}


def _create(
    path: Path,
    config: RunConfig,
    constitution: Constitution,
    templates: Templates,
    prompts: PromptSet,
    manifest: Manifest,
) -> None:
    (path / _UNFINISHED).touch()
    for leftover in path.glob(f"{TRACES}*"):
        leftover.unlink()
    _write_config(path, config)
    write_text(path / "constitution.yaml", _yaml(constitution.model_dump(mode="json", exclude_defaults=True)))
    for name, source in templates.sources.items():
        write_text(path / "prompts" / f"{name}.jinja", source)
    writer = TraceWriter(path / TRACES)
    try:
        writer.put_prompts(prompts.prompts)
    finally:
        writer.close()
    write_text(path / "manifest.json", manifest.model_dump_json(indent=2))
    (path / _UNFINISHED).unlink()


def _write_config(path: Path, config: RunConfig) -> None:
    """Write the resolved configuration; the reply store is named so that it is found from any folder."""
    cache = str(Path(config.cache).resolve()) if config.cache else None
    resolved = config.model_copy(update={"cache": cache})
    write_text(path / "run.yaml", _yaml(resolved.model_dump(mode="json")))


def _refuse_differences(path: Path, found: Manifest, wanted: Manifest) -> None:
    differences = []
    if found.constitution_hash != wanted.constitution_hash:
        was, now = found.constitution, wanted.constitution
        differences.append(f"constitution {was} ({found.constitution_hash}) → {now} ({wanted.constitution_hash})")
    if found.prompts_hash != wanted.prompts_hash:
        differences.append(f"prompts {found.prompts} ({found.prompt_count}) → {wanted.prompts} ({wanted.prompt_count})")
    changed = [name for name in wanted.templates if found.templates.get(name) != wanted.templates[name]]
    differences += [f"template {name}" for name in changed]
    differences += changed_settings(_with_own_options(found.questions), wanted.questions)
    if differences:
        raise RunDirectoryError(
            f"{path} holds another run; what differs: {'; '.join(differences)}. Choose another --out, such as "
            f"{free_place(path)}: every answer already given is reused from the reply store, nothing is asked twice"
        )


def _with_own_options(questions: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's questions as they are written today, whenever that was."""
    judging = questions.get("judging")
    return questions | {"judging": with_own_options(judging)} if isinstance(judging, dict) else questions


def with_own_options(judging: dict[str, Any]) -> dict[str, Any]:
    """Return how judges are asked, each with the options of its kind alone (once all options of all were named)."""
    judges = judging.get("judges")
    return judging | {"judges": [own_options(judge) for judge in judges]} if isinstance(judges, list) else judging


def changed_settings(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """Return what differs between two settings, as `sampling.n 4 → 2`."""
    changed = []
    for key in {**wanted, **found}:
        was, now = found.get(key), wanted.get(key)
        if isinstance(was, dict) and isinstance(now, dict) and was and now:
            changed += changed_settings(was, now, f"{prefix}{key}.")
        elif canonical_json(was) != canonical_json(now):
            changed.append(f"{prefix}{key} {was} → {now}")
    return changed


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as a whole or not at all. Raises StorageError when the disk is full."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, folders included, as a whole or not at all. Raises StorageError when the disk is full."""
    unfinished = path.with_name(f".{path.name}.{content_hash(str(os.getpid()))}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            unfinished.unlink()


def read_text(path: Path) -> str:
    """Return what stands in a file; nothing when it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
