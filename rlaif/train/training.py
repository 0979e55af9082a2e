"""Run a training from a configuration to a finished folder; the same command continues one that was stopped.

`train_cai` runs the two stages of Constitutional AI (Bai et al. 2022b, with DPO in place of RL): supervised training
on the revisions, then DPO of that model on the pairs.
"""

import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from rlaif.errors import StoppedError, TrainingError, UsageError
from rlaif.models.model_files import model_source
from rlaif.runs.directory import locked, write_text
from rlaif.train.config import CaiConfig, DpoConfig, SftConfig, TrainConfig, stage_of
from rlaif.train.directory import (
    CHECKPOINTS,
    MANIFEST,
    METRICS,
    TrainingManifest,
    claim,
    finish,
    last_checkpoint,
    model_hash,
    read_training,
)
from rlaif.train.examples import Examples, ResponseExample, improvements, read_pairs, read_responses
from rlaif.train.metrics import Progress, final_figures, read_metrics
from rlaif.train.plan import Load, Plan, Prepared, Settled, left_out_line, make_plan, plan_lines
from rlaif.train.tracking import tracker_of
from rlaif.train.trl_options import Stage, prepare, versions
from rlaif.version import __version__


class Screen(Protocol):
    """Shows the progress of a training."""

    def say(self, line: str) -> None:
        """Show one line."""

    def show(self, progress: Progress) -> None:
        """Refresh the progress line."""

    def rest(self) -> None:
        """End the progress line."""


def train(config: TrainConfig, screen: Screen) -> TrainingManifest:
    """Train, or continue the same training, and return the final manifest.

    Raises UsageError, ConfigError and other errors of input before training, TrainingError when training fails,
    StoppedError on Ctrl-C.
    """
    stage = stage_of(config)
    examples = (
        _improvements(config, screen)
        if isinstance(config, SftConfig)
        else read_pairs(config.data, certified=config.certified)
    )
    prepare()
    folder = Path(config.out)
    with locked(folder, own=MANIFEST) if _first_process() else nullcontext():
        return _train(config, stage, examples, screen)


def _improvements(config: SftConfig, screen: Screen) -> Examples[ResponseExample]:
    """Return the responses to imitate, without the revisions whose `p_better` is below `min_p_better`."""
    examples = read_responses(config.data)
    kept = improvements(examples, config.min_p_better)
    total = len(examples.train) + len(examples.test)
    left_out = total - len(kept.train) - len(kept.test)
    if not left_out:
        return examples
    probability = f"a probability below {config.min_p_better:g} of being better than what they revise"
    if not kept.train:
        raise UsageError(
            f"{config.data}: all revisions have {probability}; set min_p_better to 0 to train on all of them"
        )
    screen.say(f"{left_out} of {total} revisions are left out: they have {probability} (min_p_better)")
    return kept


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _train(config: TrainConfig, stage: Stage, examples: Examples[Any], screen: Screen) -> TrainingManifest:
    folder = Path(config.out)
    prepared = _prepare(config, stage, examples, screen)
    found = claim(folder, prepared.manifest) if _first_process() else read_training(folder) or prepared.manifest
    if found.finished:
        screen.say(f"{folder} is already finished; for another training, choose another --out")
        return found
    for line in plan_lines(prepared):
        screen.say(line)
    return _keep(prepared, _run(prepared, screen))


def _prepare(config: TrainConfig, stage: Stage, examples: Examples[Any], screen: Screen) -> Prepared:
    from rlaif.train.measurements import load_config, load_tokenizer, measure, size_of, this_device  # noqa: PLC0415

    source = model_source(config.model)
    shape = load_config(source, config.model)
    tokenizer = load_tokenizer(source, config.model)
    size = size_of(shape, config.lora, config.model)
    if size.positions is not None and config.max_length > size.positions:
        raise UsageError(
            f"{config.model} supports at most {size.positions} tokens; --max-length {config.max_length} is too long"
        )
    examples = replace(examples, template=config.chat_template_kwargs or examples.template)
    lengths = measure((*examples.train, *examples.test), tokenizer, config.max_length, examples.template)
    examples = _fitting(examples, lengths, stage, config.max_length, screen)
    ids = [one.id for one in examples.train]
    load = Load(len(ids), len(examples.test), lengths.mean_total(ids), lengths.longest(ids))
    device = this_device()
    plan = make_plan(config, stage, device, size, load, _settled(config))
    manifest = _manifest(config, examples, model_hash(source, getattr(shape, "_commit_hash", None)), plan)
    return Prepared(config, source, tokenizer, examples, device, size, plan, lengths.mean_response(ids), manifest)


def _settled(config: TrainConfig) -> Settled | None:
    """Return the choices made at the start of the training that continues; None for a new training."""
    earlier = read_training(Path(config.out))
    if earlier is None or not (earlier.finished or last_checkpoint(Path(config.out))):
        return None  # there is nothing to continue from
    settled = Settled(**earlier.plan)  # type: ignore[arg-type]
    return settled if config.method in {"auto", settled.method} else None  # `claim` refuses another method


def _fitting(examples: Examples[Any], lengths: Any, stage: Stage, limit: int, screen: Screen) -> Examples[Any]:  # noqa: ANN401
    too_long, cut = lengths.too_long(stage), lengths.cut(stage)
    what = "examples are left out, longer than" if stage == "reward" else "prompts are left out, as long as"
    if too_long:
        screen.say(left_out_line(too_long, limit, what))
    if cut:
        screen.say(left_out_line(cut, limit, "responses are truncated at"))
    if differing := lengths.rendered_differently():
        screen.say(
            f"! the chat template renders {len(differing)} prompts differently when a response follows "
            f"({differing[0]}, …); training leaves out where they differ; chat_template_kwargs may fix it"
        )
    fitting = examples.without(set(too_long))
    if not fitting.train:
        raise UsageError(f"{examples.source}: no example fits into {limit} tokens; raise --max-length")
    return fitting


def _manifest(config: TrainConfig, examples: Examples[Any], weights: str, plan: Plan) -> TrainingManifest:
    recipe = config.model_dump(
        mode="json", exclude={"data", "model", "out", "method", "max_fall", "chat_template_kwargs", "certified"}
    )
    return TrainingManifest(
        rlaif=__version__,
        stage=plan.stage,
        model=config.model,
        data=config.data,
        settings={
            "model": weights,
            "data": examples.hash,
            "method": plan.method,
            "template": dict(examples.template),
            **recipe,
        },
        plan={"method": plan.method, "at_a_time": plan.at_a_time, "checkpointing": plan.checkpointing},
        versions=versions(),
    )


def _run(prepared: Prepared, screen: Screen) -> Any:  # noqa: ANN401
    """Train from the last complete checkpoint, or from the start; return TRL's trainer."""
    import torch  # noqa: PLC0415

    from rlaif.train.trainers import make_trainer  # noqa: PLC0415
    from rlaif.train.watch import Fall, Watch  # noqa: PLC0415

    config, stage, folder = prepared.config, prepared.plan.stage, Path(prepared.config.out)
    fall = None
    if isinstance(config, DpoConfig) and config.max_fall is not None:
        fall = Fall(config.max_fall, float(config.trl.get("beta", 0.1)), prepared.mean_response)
    watch = Watch(stage, folder / METRICS, fall, screen.show)
    checkpoint = last_checkpoint(folder)
    if checkpoint is not None:
        screen.say(f"continues from {checkpoint.name.replace('-', ' ')}")
    one_process = prepared.device.count == 1  # several would stop at different steps and wait for each other
    try:
        with watch.stoppable(screen.say) if one_process else nullcontext():
            if stage == "dpo":
                screen.say("loading the model and computing the reference's log-probabilities of all responses …")
            trainer = make_trainer(prepared, folder / CHECKPOINTS, watch)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"out of memory ({str(error).split('.')[0]}); use --trl per_device_train_batch_size=1, --lora, "
            "a smaller --max-length or a smaller model"
        ) from None
    except KeyboardInterrupt:
        raise StoppedError("stopped; the same command continues from the last checkpoint") from None
    except Exception as error:
        if tracker := tracker_of(error):
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"{tracker} does not work ({reason}); log in to it, or leave out report_to") from None
        raise
    finally:
        screen.rest()
    if watch.stopped_at is not None:
        raise StoppedError(f"stopped after step {watch.stopped_at}; the same command continues from there")
    return trainer


def _keep(prepared: Prepared, trainer: Any) -> TrainingManifest:  # noqa: ANN401
    """Write model, card and curves, then the manifest with `finished` set; return the manifest."""
    from rlaif.train.card import curves, model_card  # noqa: PLC0415
    from rlaif.train.trainers import save_model  # noqa: PLC0415

    folder, stage = Path(prepared.config.out), prepared.plan.stage
    save_model(trainer, folder, merge=prepared.config.merge, dtype=prepared.size.dtype)
    metrics = read_metrics(folder / METRICS)
    best_kept, held_out = trainer.args.load_best_model_at_end, len(prepared.examples.test)
    figures = final_figures(metrics, stage, best_kept=best_kept, held_out=held_out)
    done = prepared.manifest.model_copy(update={"finished": True, "figures": figures})
    if _first_process():
        (folder / "curves.png").write_bytes(curves(metrics, stage))
        write_text(folder / "README.md", model_card(prepared, done))
        finish(folder, done)
    return done


def train_cai(config: CaiConfig, screen: Screen) -> list[tuple[Path, TrainingManifest]]:
    """Train both stages into OUT/sft and OUT/dpo; return their (folder, manifest). A finished stage is not repeated.

    Raises as `train` does.
    """
    read_pairs(config.data, certified=config.dpo.certified)  # raises errors in the pairs before the first stage
    common = config.model_dump(include={"data", "seed", "chat_template_kwargs"})
    first, second = Path(config.out) / "sft", Path(config.out) / "dpo"
    sft = {**config.sft.model_dump(), "merge": True}  # the second stage needs a complete model
    supervised = train(SftConfig(**common, **sft, model=config.model, out=str(first)), screen)
    preferred = train(DpoConfig(**common, **config.dpo.model_dump(), model=str(first), out=str(second)), screen)
    return [(first, supervised), (second, preferred)]
