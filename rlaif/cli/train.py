"""`rlaif train ...`: train a model with TRL."""

import inspect
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from rlaif.cli.lazy import group
from rlaif.cli.live import TrainScreen
from rlaif.cli.options import Json
from rlaif.cli.train_push import TrainPush
from rlaif.train.config import CONFIGS, CaiConfig, Flags, load_config, trl_flags
from rlaif.train.directory import TrainingManifest
from rlaif.train.metrics import result_lines
from rlaif.train.trl_options import Stage

Data = Annotated[str | None, typer.Argument(help="Run directory, exported dataset, file of rows, or hub dataset.")]
Model = Annotated[str | None, typer.Option(help="A folder, a hub id or smollm2.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write the trained model to.")]
File = Annotated[Path | None, typer.Option("--config", help="YAML file with these settings and `trl:`.")]
UseLora = Annotated[
    bool | None, typer.Option("--lora/--full", help="Train adapters, or all weights; by default all where they fit.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]
ReportTo = Annotated[
    str | None, typer.Option(help="Trackers of the metrics, by commas: wandb, mlflow, tensorboard, …; none by default.")
]
Push = Annotated[str | None, typer.Option(help="Upload the model to this repository of the Hugging Face Hub.")]
Private = Annotated[bool, typer.Option("--private", help="With --push: nobody else can see the repository.")]
Certified = Annotated[
    bool | None, typer.Option("--certified", help="Train on the pairs that `rlaif certify` kept, only.")
]
Trl = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, any option of TRL; can be given several times.")]
Command = Callable[..., None]


def _shared(  # noqa: PLR0913, PLR0917  (a command line's options)
    data: Data = None,
    model: Model = None,
    out: Out = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the examples; 1 by default.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="By default chosen from the kind of training and the model's size.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per optimiser step; 16 by default.")] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens of prompt plus response; 1024 by default.")
    ] = None,
    lora: UseLora = None,
    merge: Annotated[bool | None, typer.Option("--merge", help="Merge adapters into the weights at the end.")] = None,
    seed: Seed = None,
    report_to: ReportTo = None,
) -> Flags:
    """Return the settings that `dpo`, `sft` and `reward` share, under their keys in a training file."""
    return {
        ("data",): data,
        ("model",): model,
        ("out",): str(out) if out else None,
        ("epochs",): epochs,
        ("learning_rate",): learning_rate,
        ("batch_size",): batch_size,
        ("max_length",): max_length,
        ("method",): _method(lora),
        ("merge",): merge,
        ("seed",): seed,
        ("trl", "report_to"): report_to.split(",") if report_to else None,
    }


def _command(stage: Stage) -> Callable[[Callable[..., Flags]], Command]:
    """Return a decorator that adds the shared options, --config, --trl and --json to a function's own options."""

    def decorate(own: Callable[..., Flags]) -> Command:
        own_names, shared_names = inspect.signature(own).parameters, inspect.signature(_shared).parameters

        def command(
            config: File = None,
            trl: Trl = None,
            push: Push = None,
            private: Private = False,
            json_: Json = False,
            **given: Any,  # noqa: ANN401
        ) -> None:
            flags = {**own(**_some(given, own_names)), **_shared(**_some(given, shared_names))}
            flags |= {("trl", name): value for name, value in trl_flags(trl).items()}
            _train(stage, config, flags, TrainPush.checked(push, private=private), as_json=json_)

        file, *options, _ = inspect.signature(command).parameters.values()
        data, model, out, *others = shared_names.values()
        shown = [data, model, out, file, *own_names.values(), *others, *options]
        command.__doc__ = own.__doc__
        command.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        return command

    return decorate


@_command("dpo")
def train_dpo(
    labels: Annotated[str | None, typer.Option(help="soft (p_chosen is the label) or hard (1 for every pair).")] = None,
    weights: Annotated[str | None, typer.Option(help="none, or margin: weight pairs by |p_chosen - 0.5|.")] = None,
    beta: Annotated[
        float | None, typer.Option(help="DPO's beta, the strength of the KL penalty; 0.1 by default.")
    ] = None,
    certified: Certified = None,
) -> Flags:
    """Train a model to prefer the chosen responses (DPO), with p_chosen as a soft label.

    The same command continues a training that was stopped. The checkpoint with the best held-out accuracy is kept.

    \b
    Examples:
      rlaif train dpo runs/first --model Qwen/Qwen3-8B --out models/first
      rlaif train dpo runs/first --model smollm2 --out models/small --epochs 3 --beta 0.2
      rlaif train dpo pairs.jsonl --model Qwen/Qwen3-8B --lora --merge --trl loss_type=sigmoid_norm --out models/ln
      accelerate launch -m rlaif train dpo runs/first --model Qwen/Qwen3-8B --out models/first   # several GPUs
    """
    return {("labels",): labels, ("weights",): weights, ("trl", "beta"): beta, ("certified",): certified}


_LEAST = "Leave out revisions less likely than this to be better than what they revise; 0.5 by default, 0 keeps all."


@_command("sft")
def train_sft(
    min_p_better: Annotated[float | None, typer.Option(min=0, max=1, help=_LEAST)] = None,
) -> Flags:
    """Train a model on a run's revisions, or on rows with completions.

    Revisions that the run judged worse than the response they revise are left out and counted.

    \b
    Examples:
      rlaif train sft runs/first --model smollm2 --out models/revised
    """
    return {("min_p_better",): min_p_better}


@_command("reward")
def train_reward(
    margins: Annotated[str | None, typer.Option(help="logit (log-odds of p_chosen) or none.")] = None,
    certified: Certified = None,
) -> Flags:
    """Train a reward model on the pairs: it gives a conversation one score.

    \b
    Examples:
      rlaif train reward runs/first --model Qwen/Qwen3-1.7B --out models/reward
    """
    return {("margins",): margins, ("certified",): certified}


def train_cai(  # noqa: PLR0913, PLR0917  (a command line's options)
    data: Data = None,
    model: Model = None,
    out: Out = None,
    config: File = None,
    lora: UseLora = None,
    seed: Seed = None,
    report_to: ReportTo = None,
    push: Push = None,
    private: Private = False,
    json_: Json = False,
) -> None:
    """Train on a run's revisions (into OUT/sft), then train that model on the run's pairs (into OUT/dpo).

    The file given with --config has the settings of the two stages under `sft:` and `dpo:`.

    \b
    Examples:
      rlaif train cai runs/first --model Qwen/Qwen3-8B --out models/cai
    """
    from rlaif.train.training import train_cai  # noqa: PLC0415

    flags: Flags = {("data",): data, ("model",): model, ("out",): str(out) if out else None, ("seed",): seed}
    stages: dict[tuple[str, ...], Any] = {}
    for stage in ("sft", "dpo"):
        stages[stage, "method"] = _method(lora)
        stages[stage, "trl", "report_to"] = report_to.split(",") if report_to else None
    settings = load_config(CaiConfig, config, _given({**flags, **stages}))
    pushing = TrainPush.checked(push, private=private)
    with TrainScreen(quiet=json_) as screen:
        folders = train_cai(settings, screen)
    if not _first_process():
        return
    if json_:
        print(json.dumps({folder.name: manifest.model_dump(mode="json") for folder, manifest in folders}))
    for folder, manifest in folders if not json_ else []:
        _print_result(folder, manifest, as_json=False)
    pushing.send(folders[-1][0], as_json=json_)


def _train(stage: Stage, file: Path | None, flags: Flags, pushing: TrainPush, *, as_json: bool) -> None:
    from rlaif.train.training import train  # noqa: PLC0415

    config = load_config(CONFIGS[stage], file, _given(flags))
    with TrainScreen(quiet=as_json) as screen:
        manifest = train(config, screen)
    if _first_process():
        _print_result(Path(config.out), manifest, as_json=as_json)
        pushing.send(Path(config.out), as_json=as_json)


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _method(lora: bool | None) -> str | None:
    return None if lora is None else "lora" if lora else "full"


def _some(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: given[name] for name in names}


def _given(flags: Flags) -> Flags:
    return {place: value for place, value in flags.items() if value is not None}


def _print_result(folder: Path, manifest: TrainingManifest, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"folder": str(folder), **manifest.model_dump(mode="json")}))
        return
    for line in result_lines(manifest.figures, manifest.stage):
        print(line)
    print(f"model    {folder}   (card in README.md, curves in curves.png)")


app = group(
    {
        "dpo": ("rlaif.cli.train:train_dpo", "Train a model to prefer the chosen responses (DPO), with soft labels."),
        "sft": ("rlaif.cli.train:train_sft", "Train a model on a run's revisions, or on rows with completions."),
        "reward": (
            "rlaif.cli.train:train_reward",
            "Train a reward model on the pairs: it gives a conversation one score.",
        ),
        "cai": ("rlaif.cli.train:train_cai", "Train on a run's revisions, then that model on its pairs."),
    },
    help="Train a model with TRL: on revisions, on preference pairs, or on both.",
)


@app.callback()
def _group() -> None:
    """Make typer treat this as a group of commands."""
