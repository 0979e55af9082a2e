"""The run directory: its files, how it is created, and the lock that admits one writing process.

run.yaml            the resolved configuration
constitution.yaml   the constitution as used
prompts/            the templates as used
manifest.json       hashes and versions; written last, so that with it the directory is complete
models.json         the models that replied
run.sqlite          prompts, traces and failures with all their texts
run.lock            locked by the process that writes
summary.json        the counts and estimates of the run
results.json        the hash of what summary and dataset were made from
stopping.json       by what matchups stop before everything is asked, with `judging.stop`
shortcuts.json      effects of surface features on the judges, if `rlaif evaluate shortcuts` was run
reviews/            people's verdicts on the pairs, if `rlaif review` was run
certificate.json    pairs that agree with people's labels, if `rlaif certify` was run
logs/               logs of managed servers
responses.json      what the file of responses had in it, if there is one (`rlaif label`); likewise refused.jsonl,
                    labels.jsonl and flips.jsonl
dataset/            the exported dataset
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import filelock
import yaml
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError, StorageError
from rlaif.judges import own_options
from rlaif.models.model_files import families
from rlaif.models.serving import Clients
from rlaif.records import PromptSet, Record
from rlaif.runs.store import TraceWriter
from rlaif.seeds import canonical_json, content_hash
from rlaif.templates import Templates
from rlaif.version import __version__

TRACES = "run.sqlite"
COMPARISON = "comparison.yaml"
"""File by which the folder of a comparison is recognised."""
CHANGEABLE = ("policy", "policies", "critic", "judging", "cache", "open_prompts")
"""Settings of run.yaml that are replaced when a run goes on: how its models are reached, and conclusions."""
_UNFINISHED = ".unfinished"
"""File that exists while a run directory is being created: its other files may then be overwritten."""


class Manifest(Record):
    """Everything on which a run's requests depend: two runs with the same manifest send the same requests."""

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
    """The models of a run, by their served names and by their identities in the reply store."""

    policy: str
    policy_identity: str
    critic: str
    critic_identity: str
    judges: dict[str, str] = Field(default_factory=dict)
    """By a judge's name: the served name of its own critic, for judges that have one."""
    judge_identities: dict[str, str] = Field(default_factory=dict)
    """By a judge's name: the identity of its own critic."""
    policies: dict[str, str] = Field(default_factory=dict)
    """By a policy's name: its served name, where a run has several."""
    policy_identities: dict[str, str] = Field(default_factory=dict)
    """By a policy's name: its identity."""

    @model_serializer(mode="wrap")
    def _without_policies(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the policies where a run has one only."""
        return {name: value for name, value in write(self).items() if value or not name.startswith("polic")}

    @property
    def written_by(self) -> str:
        """The policies in words."""
        several = [name if name == served else f"{name} ({served})" for name, served in self.policies.items()]
        return ", ".join(several) or self.policy

    @property
    def families(self) -> frozenset[str]:
        """The families of all policies, as far as they are known."""
        served = {**self.policies, "": self.policy}
        identities = {**self.policy_identities, "": self.policy_identity}
        return frozenset().union(*(families(name, identities[policy]) for policy, name in served.items()))

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
            policies={name: client.model for name, client in clients.policies.items()},
            policy_identities={name: client.identity for name, client in clients.policies.items()},
        )


@contextmanager
def locked(path: Path, own: str = "manifest.json") -> Iterator[None]:
    """Lock a directory for writing, and create it if needed. Raises RunDirectoryError when another process holds it.

    A directory that is not empty must contain the file `own`.
    """
    _refuse_other_files(path, own)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path / "run.lock", timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise RunDirectoryError(f"{path} is being written by another process ({_holder(path)})") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        write_text(path / "run.pid", f"process {os.getpid()} on {socket.gethostname()}, since {since}")
        yield
    finally:
        (path / "run.pid").unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    """Return who holds a lock; one that took it just now writes its name within a second."""
    for _ in range(20):
        if holder := read_text(path / "run.pid"):
            return holder
        time.sleep(0.05)
    return "which began or ended just now; run the same command again"


def prepare(
    path: Path,
    config: RunConfig,
    constitution: Constitution,
    templates: Templates,
    prompts: PromptSet,
    also: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """Create a run directory, or check that the existing one has the same manifest; return the manifest.

    `also` are texts of other files of a new directory, by their names.
    The lock must be held. Raises RunDirectoryError with the differences.
    """
    wanted = _manifest(config, constitution, templates, prompts)
    if (path / "manifest.json").is_file():
        existing = read_manifest(path)
        _refuse_differences(path, existing, wanted)
        before = RunConfig.load(path / "run.yaml")
        judging = _reached_as_before(config.judging, before.judging)
        changed = {"judging": judging, "pairs": config.pairs, "max_pairs": config.max_pairs}
        _write_config(path, before.model_copy(update=changed))
        return existing
    _create(path, config, constitution, templates, prompts, wanted, also)
    return wanted


def _reached_as_before(judging: JudgingConfig, before: JudgingConfig) -> JudgingConfig:
    """Return the new judging settings with the old critics of the judges, which `settle_models` updates later."""
    critics = {judge.called: judge.critic for judge in before.judges}
    judges = tuple(
        judge.model_copy(update={"critic": critics.get(judge.called, judge.critic)}) for judge in judging.judges
    )
    return judging.model_copy(update={"judges": judges})


def read_manifest(path: Path) -> Manifest:
    """Return a run's manifest. Raises RunDirectoryError when there is none."""
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
        return f"{path} is a comparison, not a run; its runs: {', '.join(runs) or f'see {path / COMPARISON}'}"
    if path.exists():
        return f"{path} is not a run directory: it has no manifest.json"
    runs = sorted(run.parent.name for run in path.parent.glob("*/manifest.json"))
    return f"{path}: no such folder" + (f"; the runs in {path.parent} are {', '.join(runs)}" if runs else "")


def free_place(path: Path) -> Path:
    """Return the first of runs/mine-2, runs/mine-3, … that does not exist, for the path runs/mine."""
    return next(place for n in count(2) if not (place := path.parent / f"{path.resolve().name}-{n}").exists())


def read_config(path: Path) -> RunConfig:
    """Return the configuration of a run, with the present path of its directory as `out`."""
    read_manifest(path)
    config = RunConfig.load(path / "run.yaml")
    return config.model_copy(
        update={"out": str(path), "constitution": str(path / "constitution.yaml"), "templates": str(path / "prompts")}
    )


def settle_models(path: Path, served: ServedModels, config: RunConfig, *, anew: bool = False) -> None:
    """Write the models and how they are reached, or check that they are the same as before.

    With `anew`, models of an earlier attempt that finished no prompt are replaced. Raises RunDirectoryError when a
    model is another one than before.
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
                f"{path} was made with the {role} {was}, but the {role} is {now} now; "
                "a run cannot change its models: choose another --out"
            )
    reached = RunConfig.load(path / "run.yaml").model_copy(update={name: getattr(config, name) for name in CHANGEABLE})
    _write_config(path, reached)


def _identities(served: ServedModels) -> dict[str, str]:
    judges = {f"judge {name}": identity for name, identity in served.judge_identities.items()}
    policies = {f"policy {name}": identity for name, identity in served.policy_identities.items()}
    return {"policy": served.policy_identity, "critic": served.critic_identity, **judges, **policies}


def read_models(path: Path) -> ServedModels:
    """Return the models of a run. Raises RunDirectoryError when none was connected yet."""
    try:
        return ServedModels.model_validate_json((path / "models.json").read_bytes())
    except (OSError, ValidationError):
        raise RunDirectoryError(f"{path}: no model was connected in this run yet") from None


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a JSON file as a whole or not at all. Raises StorageError when it cannot be written."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _refuse_other_files(path: Path, own: str) -> None:
    """Raise RunDirectoryError for a folder with files that has neither `own` nor the mark of an unfinished one."""
    if path.is_dir() and not (path / own).exists() and not (path / _UNFINISHED).exists():
        other_files = sorted(file.name for file in path.iterdir() if file.name not in {"run.lock", "run.pid"})
        if other_files:
            listed = ", ".join(other_files[:3])
            raise RunDirectoryError(f"{path} contains other files ({listed}); choose another --out")


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
    """Return {"cases": hash} of the cases shown as worked examples, which a constitution's hash leaves out, or {}."""
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
    also: Mapping[str, str],
) -> None:
    (path / _UNFINISHED).touch()
    for leftover in path.glob(f"{TRACES}*"):
        leftover.unlink()
    _write_config(path, config)
    write_text(path / "constitution.yaml", _yaml(constitution.model_dump(mode="json", exclude_defaults=True)))
    for name, text in also.items():
        write_text(path / name, text)
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
    """Write run.yaml, with an absolute path of the reply store."""
    cache = str(Path(config.cache).resolve()) if config.cache else None
    resolved = config.model_copy(update={"cache": cache})
    write_text(path / "run.yaml", _yaml(resolved.model_dump(mode="json")))


def _refuse_differences(path: Path, existing: Manifest, wanted: Manifest) -> None:
    differences = []
    if existing.constitution_hash != wanted.constitution_hash:
        was, now = existing.constitution, wanted.constitution
        differences.append(f"constitution {was} ({existing.constitution_hash}) → {now} ({wanted.constitution_hash})")
    if existing.prompts_hash != wanted.prompts_hash:
        differences.append(
            f"prompts {existing.prompts} ({existing.prompt_count}) → {wanted.prompts} ({wanted.prompt_count})"
        )
    changed = [name for name in wanted.templates if existing.templates.get(name) != wanted.templates[name]]
    differences += [f"template {name}" for name in changed]
    differences += changed_settings(_with_own_options(existing.questions), wanted.questions)
    if differences:
        raise RunDirectoryError(
            f"{path} contains a run with other settings; what differs: {'; '.join(differences)}. Choose another --out, "
            f"such as {free_place(path)}: all replies are reused from the reply store, no request is sent twice; with "
            "larger limits (n, max_tokens), only what was cut off or is missing is asked"
        )


def _with_own_options(questions: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's `questions` in the present format."""
    judging = questions.get("judging")
    return questions | {"judging": with_own_options(judging)} if isinstance(judging, dict) else questions


def with_own_options(judging: dict[str, Any]) -> dict[str, Any]:
    """Return judging settings where each judge has the options of its kind only; older versions wrote all options."""
    judges = judging.get("judges")
    return judging | {"judges": [own_options(judge) for judge in judges]} if isinstance(judges, list) else judging


def changed_settings(existing: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the differences of two settings, each as `sampling.n 4 → 2`."""
    changed = []
    for key in {**wanted, **existing}:
        was, now = existing.get(key), wanted.get(key)
        if isinstance(was, dict) and isinstance(now, dict) and was and now:
            changed += changed_settings(was, now, f"{prefix}{key}.")
        elif canonical_json(was) != canonical_json(now):
            changed.append(f"{prefix}{key} {was} → {now}")
    return changed


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text as a whole or not at all. Raises StorageError when it cannot be written."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all, and create its folders. Raises StorageError when it cannot be written."""
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
    """Return the text of a file; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
