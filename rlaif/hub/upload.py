"""What goes to the hub: a folder of links and of copies without local paths, made of a run, an export or a model."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from huggingface_hub import DatasetCard, ModelCard

from rlaif.curate.recipe import DROPPED, RECIPE
from rlaif.datasets.export import MARK, export_trl
from rlaif.errors import UsageError
from rlaif.hub.publishable import folders_named, private_roots, publishable
from rlaif.models.hub_id import dataset_id, hub_id
from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary, summarise
from rlaif.text.wording import counted
from rlaif.train.directory import CHECKPOINTS, MANIFEST, base_id, read_training

Kind = Literal["dataset", "model"]
CARD = "README.md"
_DATA = {".parquet", ".jsonl", ".csv"}
_CLEANED = {".md", ".yaml"}
_CLEANED_JSON = {MARK, MANIFEST, "adapter_config.json", "config.json", "tokenizer_config.json", "summary.json"}
_NOT_PUBLISHED = {CHECKPOINTS, "tensorboard", "wandb", "mlruns", "logs", "run.lock", "run.pid", "training_args.bin"}
"""Files and folders of a trained model's folder that stay on this machine."""


@dataclass(frozen=True)
class CardOptions:
    """What a person says for the card's head; None where it is not given."""

    license: str | None = None
    language: tuple[str, ...] = ()
    base_model: str | None = None
    """Hub id of the model that a trained model was made from."""
    dataset: str | None = None
    """Hub id of the dataset that a model was trained on."""


@dataclass(frozen=True)
class Upload:
    """A folder that is ready to be sent."""

    kind: Kind
    source: Path
    folder: Path
    rows: Mapping[str, int]
    """Rows by `table/split`; empty for a model."""
    warnings: tuple[str, ...]
    paths_cut: int = 0
    """Local paths and passwords that were removed from its texts."""

    @property
    def files(self) -> dict[str, int]:
        """{path in the repository: bytes}."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in paths}

    @property
    def card(self) -> Any:  # noqa: ANN401  (the library has no types)
        """The card, whose `data` is its head."""
        kind = DatasetCard if self.kind == "dataset" else ModelCard
        return kind((self.folder / CARD).read_text(encoding="utf-8"))

    @property
    def head(self) -> dict[str, Any]:
        """The head of the card."""
        return dict(self.card.data.to_dict())

    def with_license(self, license_: str | None) -> "Upload":
        """Return it with a license in the head of its card, where one is given."""
        if license_:
            _write_head(self, {"license": license_})
        return replace(self, warnings=tuple(one for one in self.warnings if one != NO_LICENSE or not license_))


NO_LICENSE = "the license is unknown, so nobody knows what they may do with it; name it with --license (such as mit)"


def kind_of(source: Path) -> Kind:
    """Return what a folder holds. Raises UsageError for anything else than a run, an export or a trained model."""
    if (source / "manifest.json").is_file() or (source / MARK).is_file():
        return "dataset"
    if (source / MANIFEST).is_file():
        return "model"
    if not source.exists():
        raise UsageError(f"{source}: no such folder")
    stages = [str(path.parent) for path in sorted(source.glob(f"*/{MANIFEST}"))]
    if stages:
        raise UsageError(f"{source} has the models of several trainings; push one of them: {', '.join(stages)}")
    raise UsageError(f"{source} is neither a run, nor an exported dataset, nor a model that `rlaif train` wrote")


def make_upload(
    source: Path, folder: Path, said: CardOptions, labels: type[Run] = Run, *, with_run: bool = False
) -> Upload:
    """Write what is to be published into an empty folder. Raises UsageError for what is not finished or has no rows.

    `labels` is the class by which a run is read, such as `CertifiedRun`.
    """
    kind = kind_of(source)
    is_run = (source / "manifest.json").is_file()
    if not is_run and (labels is not Run or with_run):
        raise UsageError(f"--certified, --people and --with-run are for a run; {source} is another folder")
    if kind == "model":
        upload = _of_model(source, folder, said)
    elif is_run:
        upload = _of_run(labels(source), folder, with_run=with_run)
    else:
        upload = _of_export(source, folder)
    head: dict[str, Any] = {"license": said.license, "language": list(said.language) or None}
    _write_head(upload, {name: value for name, value in head.items() if value})
    unknown = upload.head.get("license") in {None, "unknown"}
    return replace(upload, warnings=(*upload.warnings, *([NO_LICENSE] if unknown else [])))


def _of_run(run: Run, folder: Path, *, with_run: bool) -> Upload:
    """Export a run anew, as its thresholds or certificate may have changed since the last export."""
    source, summary = run.path, summarise(run)
    if summary.open:
        raise UsageError(
            f"{source} is not finished: {summary.open} of {summary.prompts} prompts were not reached; run "
            f"`rlaif generate {source}` first (to publish a part, push the folder that `rlaif export {source}` writes)"
        )
    rows = export_trl(run, folder / "dataset", summary)
    exported = folder / "staged"
    named = [run.config.model_dump(mode="json"), summary.model_dump(mode="json"), run.manifest.prompts]
    roots = private_roots(source, *folders_named(named))
    upload = _staged("dataset", source, folder / "dataset", exported, rows, roots)
    if with_run:
        for name, text in _of_the_run(source, summary).items():
            _write(exported / "run" / name, publishable(text, roots)[0])
    failed = f"{counted(summary.failures, 'prompt')} of {summary.prompts} failed and are not in the dataset"
    return replace(upload, warnings=(*summary.warnings, *([failed] if summary.failures else [])))


def _of_the_run(source: Path, summary: Summary) -> dict[str, str]:
    """Return the texts of a run that go with --with-run: its summary and its rules."""
    rules = (source / "constitution.yaml").read_text(encoding="utf-8")
    return {"summary.json": summary.model_dump_json(indent=2) + "\n", "constitution.yaml": rules}


def _of_export(source: Path, folder: Path) -> Upload:
    if not (source / CARD).is_file():
        raise UsageError(f"{source} has no card: only the format trl has one; push the run, or its folder `dataset`")
    try:
        mark = json.loads((source / MARK).read_text(encoding="utf-8"))
        rows = {str(name): int(count) for name, count in mark["rows"].items()}
        warnings = tuple(map(str, mark.get("warnings", ())))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(f"{source / MARK} cannot be read; export the run again") from None
    return replace(
        _staged("dataset", source, source, folder / "staged", rows, private_roots(source)), warnings=warnings
    )


def _of_model(source: Path, folder: Path, said: CardOptions) -> Upload:
    training = read_training(source)
    assert training is not None  # `kind_of` saw it
    if not training.finished:
        raise UsageError(f"{source}: the training is not finished; the same `rlaif train` command continues it")
    roots = private_roots(source, *folders_named(training.model_dump(mode="json")))
    upload = _staged("model", source, source, folder / "staged", {}, roots)
    _name_origins(upload.folder / MANIFEST, {"model": hub_id(training.model), "data": dataset_id(training.data)})
    adapter = upload.folder / "adapter_config.json"
    base = said.base_model or (hub_id if adapter.is_file() else base_id)(training.model)
    if adapter.is_file():
        if base is None:
            raise UsageError(
                f"{source}: the model under this adapter is a folder of this machine, which nobody else has; name "
                "its hub id with --base-model (after pushing it, if need be), or train with --merge"
            )
        _name_origins(adapter, {"base_model_name_or_path": base})
    data = said.dataset or dataset_id(training.data)
    _write_head(upload, {"base_model": base, "datasets": [data] if data else None})
    no_base = "the card names no base model, as it is a folder of this machine; name its hub id with --base-model"
    return replace(upload, warnings=() if base else (no_base,))


def _staged(
    kind: Kind, source: Path, origin: Path, folder: Path, rows: Mapping[str, int], roots: Sequence[str]
) -> Upload:
    """Fill a folder with links to the files of `origin`, and with copies of its texts without local paths."""
    if kind == "dataset" and not any(rows.values()):
        raise UsageError(f"{source} has no rows to publish; see `rlaif show {source}`")
    cut = 0
    for path in _published(origin, kind):
        place = folder / path.relative_to(origin)
        if path.suffix in _CLEANED or path.name in _CLEANED_JSON:
            text, found = publishable(path.read_text(encoding="utf-8"), roots)
            _write(place, text)
            cut += found
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())
    return Upload(kind, source, folder, dict(rows), (), cut)


def _published(origin: Path, kind: Kind) -> Iterable[Path]:
    for path in sorted(origin.rglob("*")):
        parts = path.relative_to(origin).parts
        hidden = any(part.startswith(".") for part in parts)
        if not path.is_file() or hidden or parts[0] in _NOT_PUBLISHED:
            continue
        is_data = path.suffix in _DATA and path.name != DROPPED  # dropped rows quote test sets
        if kind == "model" or is_data or path.name in {CARD, MARK, RECIPE}:
            yield path


def _name_origins(file: Path, ids: Mapping[str, str | None]) -> None:
    """Replace values of a JSON file by hub ids, or, where there is none, cut paths to their last part."""
    content = json.loads(file.read_text(encoding="utf-8"))
    for name, found in ids.items():
        content[name] = found or PurePath(str(content[name])).name
    _write(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_head(upload: Upload, values: Mapping[str, Any]) -> None:
    if values:
        card = upload.card
        for name, value in values.items():
            setattr(card.data, name, value)
        _write(upload.folder / CARD, str(card))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
