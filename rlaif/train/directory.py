"""The folder of a trained model: its manifest, its checkpoints, and which training may continue in it.

README.md          the model card
config.json, …     the model, or adapter_config.json, … the adapter
training.json      settings and hashes that determine the result; written first
metrics.jsonl      one line for each logged step
curves.png         plot of these metrics
checkpoints/       only during the training; removed when it is finished
"""

import json
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from rlaif.errors import RunDirectoryError
from rlaif.models.hub_id import hub_id
from rlaif.records import Record
from rlaif.runs.directory import changed_settings, read_text, write_text
from rlaif.train.trl_options import Stage

MANIFEST = "training.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
_SAMPLES, _SAMPLE = 32, 65_536
"""Number and bytes of the samples of a weights file that are hashed; hashing all of a large file takes minutes."""

_LONGEST_CHAIN = 20
"""Largest number of trainings, one after the other, that are followed to the model of the first."""
_TRACKING = ("report_to", "run_name", "logging_dir")
"""TRL options that change where metrics are reported, not the result."""


class TrainingManifest(Record):
    """Settings, hashes, plan and results of a training; trainings with the same settings give the same model."""

    rlaif: str
    stage: Stage
    model: str
    data: str
    settings: dict[str, Any]
    """Settings that must not change when a training continues, including hashes of model and data."""
    plan: dict[str, str | int | bool]
    """Chosen for the device at the start: method, examples at a time, whether activations are recomputed."""
    versions: dict[str, str]
    finished: bool = False
    figures: dict[str, float | None] = Field(default_factory=dict)
    """The results; empty until it is finished."""


def claim(folder: Path, wanted: TrainingManifest) -> TrainingManifest:
    """Write a training's manifest into a folder; return the folder's manifest if it is the same training.

    The lock must be held. Raises RunDirectoryError, which lists the differences, when the folder contains another
    training. One that failed before its first checkpoint is replaced.
    """
    found = read_training(folder)
    if found is None:
        write_text(folder / MANIFEST, wanted.model_dump_json(indent=2))
        return wanted
    differences = changed_settings(_without_tracking(found.settings), _without_tracking(wanted.settings))
    if found.stage != wanted.stage:
        differences.insert(0, f"{found.stage} → {wanted.stage}")
    if differences and not (found.finished or last_checkpoint(folder)):
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        (folder / METRICS).unlink(missing_ok=True)
        write_text(folder / MANIFEST, wanted.model_dump_json(indent=2))
        return wanted
    if differences:
        raise RunDirectoryError(
            f"{folder} holds another training; what differs: {'; '.join(differences)}. Choose another --out"
        )
    return found


def _without_tracking(settings: dict[str, Any]) -> dict[str, Any]:
    options = settings.get("trl")
    if not isinstance(options, dict):
        return settings
    return settings | {"trl": {name: value for name, value in options.items() if name not in _TRACKING}}


def read_training(folder: Path) -> TrainingManifest | None:
    """Return the manifest of a folder; None where there is none. Raises RunDirectoryError."""
    text = read_text(folder / MANIFEST)
    if not text:
        return None
    try:
        return TrainingManifest.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise RunDirectoryError(f"{folder}/{MANIFEST} was written by another version ({problem})") from None


def finish(folder: Path, done: TrainingManifest) -> None:
    """Write the manifest with the results and remove the checkpoints."""
    write_text(folder / MANIFEST, done.model_dump_json(indent=2))
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint, or None; incomplete ones are removed."""
    complete = []
    for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
        try:
            complete.append((int(json.loads((path / "trainer_state.json").read_text())["global_step"]), path))
        except (OSError, ValueError, KeyError):  # trainer_state.json is written last
            shutil.rmtree(path, ignore_errors=True)
    return max(complete)[1] if complete else None


def base_id(model: str) -> str | None:
    """Return the hub id of a model, or, for a folder that a training wrote, of the model that it was made from.

    None for a folder of unknown origin. The models of several trainings are followed to the first.
    """
    for _ in range(_LONGEST_CHAIN):
        found = hub_id(model)
        training = None if found else read_training(Path(model))
        if training is None or training.model == model:
            return found
        model = training.model
    return None


def model_hash(source: str, revision: str | None) -> str:
    """Return the identity of a model's weights: the hub's revision, or a hash over samples of its files."""
    folder = Path(source)
    if not folder.is_dir():
        return revision or source
    digest = blake2b(digest_size=6)
    for path in sorted(folder.iterdir()):
        if path.name == "config.json" or path.suffix in {".safetensors", ".bin"}:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}".encode())
            with path.open("rb") as file:
                for n in range(_SAMPLES):
                    file.seek(n * size // _SAMPLES)
                    digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
