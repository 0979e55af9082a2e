"""`rlaif train ...`: train a model with TRL."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from rlaif.cli.lazy import group
from rlaif.cli.live import TrainScreen
from rlaif.cli.options import Json
from rlaif.train.config import CONFIGS, CaiConfig, Flags, TrainConfig, load_config, trl_flags
from rlaif.train.directory import TrainingManifest
from rlaif.train.metrics import result_lines
from rlaif.train.trl_options import Stage

Data = Annotated[str | None, typer.Argument(help="Run directory, exported dataset, file of rows, or hub dataset.")]

Model = Annotated[str | None, typer.Option(help="A folder, a hub id or smollm2.")]

Out = Annotated[Path | None, typer.Option(help="Folder of the trained model.")]

File = Annotated[Path | None, typer.Option("--config", help="YAML file with any of these settings, and `trl:`.")]

Epochs = Annotated[float | None, typer.Option(help="Times that every example is seen; 1 by default.")]

Rate = Annotated[float | None, typer.Option("--learning-rate", help="Chosen by kind and size by default.")]

Batch = Annotated[int | None, typer.Option("--batch-size", help="Examples behind one step; 16 by default.")]

Length = Annotated[int | None, typer.Option("--max-length", help="Tokens of prompt and answer; 1024 by default.")]

UseLora = Annotated[bool | None, typer.Option("--lora/--full", help="Adapters, or all weights; what fits by default.")]

Merge = Annotated[bool | None, typer.Option("--merge", help="Write adapters into the weights at the end.")]

Seed = Annotated[int | None, typer.Option(help="Seed of every random choice.")]

Trl = Annotated[list[str] | None, typer.Option(help="NAME=VALUE, any option of TRL's; may be given again.")]


def train_dpo(  # noqa: PLR0913, PLR0917  (a command line's flags)
    data: Data = None,
    model: Model = None,
    out: Out = None,
    config: File = None,
    labels: Annotated[str | None, typer.Option(help="soft (p_chosen as it is) or hard.")] = None,
    weights: Annotated[str | None, typer.Option(help="none, or margin: sure pairs count more.")] = None,
    beta: Annotated[float | None, typer.Option(help="How strongly it is held to the reference; 0.1.")] = None,
    epochs: Epochs = None,
    learning_rate: Rate = None,
    batch_size: Batch = None,
    max_length: Length = None,
    lora: UseLora = None,
    merge: Merge = None,
    seed: Seed = None,
    trl: Trl = None,
    json_: Json = False,
) -> None:
    """Train a model to prefer the chosen answers (DPO), with p_chosen as a soft label.

    Started again, the same command goes on where it was stopped. The best checkpoint by held-out accuracy is kept.

    \b
    Examples:
      rlaif train dpo runs/first --model Qwen/Qwen3-8B --out models/first
      rlaif train dpo runs/first --model smollm2 --out models/small --epochs 3 --beta 0.2
      rlaif train dpo pairs.jsonl --model Qwen/Qwen3-8B --lora --merge --trl loss_type=sigmoid_norm --out models/ln
      accelerate launch -m rlaif train dpo runs/first --model Qwen/Qwen3-8B --out models/first   # several GPUs
    """
    own: Flags = {("labels",): labels, ("weights",): weights, ("trl", "beta"): beta}
    common = _flags(data, model, out, epochs, learning_rate, batch_size, max_length, lora, merge, seed)
    _train("dpo", config, {**own, **common}, trl, as_json=json_)


def train_sft(  # noqa: PLR0913, PLR0917  (a command line's flags)
    data: Data = None,
    model: Model = None,
    out: Out = None,
    config: File = None,
    min_p_better: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Leave out revisions judged less probably better than what they revise; 0.5, 0 takes all.",
        ),
    ] = None,
    epochs: Epochs = None,
    learning_rate: Rate = None,
    batch_size: Batch = None,
    max_length: Length = None,
    lora: UseLora = None,
    merge: Merge = None,
    seed: Seed = None,
    trl: Trl = None,
    json_: Json = False,
) -> None:
    """Train a model on a run's revisions, or on rows with completions.

    Revisions that the run judged worse than what they revise are left out, and counted.

    \b
    Examples:
      rlaif train sft runs/first --model smollm2 --out models/revised
    """
    common = _flags(data, model, out, epochs, learning_rate, batch_size, max_length, lora, merge, seed)
    _train("sft", config, {("min_p_better",): min_p_better, **common}, trl, as_json=json_)


def train_reward(  # noqa: PLR0913, PLR0917  (a command line's flags)
    data: Data = None,
    model: Model = None,
    out: Out = None,
    config: File = None,
    margins: Annotated[str | None, typer.Option(help="logit (log-odds of p_chosen) or none.")] = None,
    epochs: Epochs = None,
    learning_rate: Rate = None,
    batch_size: Batch = None,
    max_length: Length = None,
    lora: UseLora = None,
    merge: Merge = None,
    seed: Seed = None,
    trl: Trl = None,
    json_: Json = False,
) -> None:
    """Train a reward model on the pairs: one score for a conversation.

    \b
    Examples:
      rlaif train reward runs/first --model Qwen/Qwen3-1.7B --out models/reward
    """
    common = _flags(data, model, out, epochs, learning_rate, batch_size, max_length, lora, merge, seed)
    _train("reward", config, {("margins",): margins, **common}, trl, as_json=json_)


def train_cai(
    data: Data = None,
    model: Model = None,
    out: Out = None,
    config: File = None,
    lora: UseLora = None,
    seed: Seed = None,
    json_: Json = False,
) -> None:
    """Train on a run's revisions, then on its pairs from there: OUT/sft and OUT/dpo.

    Settings of the two stages stand under `sft:` and `dpo:` of the file given with --config.

    \b
    Examples:
      rlaif train cai runs/first --model Qwen/Qwen3-8B --out models/cai
    """

    where: Flags = {("data",): data, ("model",): model, ("out",): str(out) if out else None, ("seed",): seed}
    method = None if lora is None else "lora" if lora else "full"
    stages: Flags = {("sft", "method"): method, ("dpo", "method"): method}
    cai_job(load_config(CaiConfig, config, _given({**where, **stages})), as_json=json_)


def _train(stage: Stage, file: Path | None, flags: Flags, trl: list[str] | None, *, as_json: bool) -> None:
    """Put flags over a file's settings, and train."""

    options = {("trl", name): value for name, value in trl_flags(trl).items()}
    train_job(load_config(CONFIGS[stage], file, _given(flags) | options), as_json=as_json)


def _flags(  # noqa: PLR0913, PLR0917  (what all kinds of training have in common)
    data: str | None,
    model: str | None,
    out: Path | None,
    epochs: float | None,
    learning_rate: float | None,
    batch_size: int | None,
    max_length: int | None,
    lora: bool | None,
    merge: bool | None,
    seed: int | None,
) -> Flags:
    return {
        ("data",): data,
        ("model",): model,
        ("out",): str(out) if out else None,
        ("epochs",): epochs,
        ("learning_rate",): learning_rate,
        ("batch_size",): batch_size,
        ("max_length",): max_length,
        ("method",): None if lora is None else "lora" if lora else "full",
        ("merge",): merge,
        ("seed",): seed,
    }


def _given(flags: Flags) -> dict[tuple[str, ...], Any]:
    return {place: value for place, value in flags.items() if value is not None}


def train_job(config: TrainConfig, *, as_json: bool) -> None:
    """Train, and print what came out."""
    from rlaif.train.training import train  # noqa: PLC0415

    with TrainScreen(quiet=as_json) as screen:
        manifest = train(config, screen)
    _print_result(Path(config.out), manifest, as_json=as_json)


def cai_job(config: CaiConfig, *, as_json: bool) -> None:
    """Train on revisions, then on pairs, and print what came out of both."""
    from rlaif.train.training import train_cai  # noqa: PLC0415

    with TrainScreen(quiet=as_json) as screen:
        folders = train_cai(config, screen)
    if as_json:
        print(json.dumps({folder.name: manifest.model_dump(mode="json") for folder, manifest in folders}))
    for folder, manifest in folders if not as_json else []:
        _print_result(folder, manifest, as_json=False)


def _print_result(folder: Path, manifest: TrainingManifest, *, as_json: bool) -> None:
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        print(json.dumps({"folder": str(folder), **manifest.model_dump(mode="json")}))
        return
    for line in result_lines(manifest.figures, manifest.stage):
        print(line)
    print(f"model    {folder}   (card in README.md, curves in curves.png)")


app = group(
    {
        "dpo": ("rlaif.cli.train:train_dpo", "Train a model to prefer the chosen answers (DPO), soft labels included."),
        "sft": (
            "rlaif.cli.train:train_sft",
            "Train a model on a run's revisions, or on rows with completions.",
        ),
        "reward": ("rlaif.cli.train:train_reward", "Train a reward model on the pairs: one score for a conversation."),
        "cai": ("rlaif.cli.train:train_cai", "Train on a run's revisions, then on its pairs from there."),
    },
    help="Train a model with TRL: on revisions, on preference pairs, or both in turn.",
)


@app.callback()
def _group() -> None:
    """Hold the commands of the table."""
