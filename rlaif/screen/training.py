"""What a person sees of a training: one line that refreshes on a terminal, plain lines now and then elsewhere."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Self

from rich.live import Live
from rich.text import Text

from rlaif.screen import SafeConsole
from rlaif.train.config import CaiConfig, TrainConfig
from rlaif.train.directory import TrainingManifest
from rlaif.train.progress import Progress
from rlaif.train.results import said_of

PLAIN_EVERY_S = 15.0


class TrainScreen:
    """Shows trainings on stderr; use as a context manager. Of several processes only the first one shows anything."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet or os.environ.get("RANK", "0") != "0"
        self._live: Live | None = None
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """End the line that refreshes; what comes next stands below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Show one line."""
        if not self._quiet:
            self._console.print(line, markup=False)

    def show(self, progress: Progress) -> None:
        """Refresh the view; cheap to call often."""
        now = time.monotonic()
        due = now - self._last >= (0.1 if sys.stderr.isatty() else PLAIN_EVERY_S) or progress.step == progress.steps
        if self._quiet or not due:
            return
        self._last = now
        line = progress_line(progress)
        if sys.stderr.isatty():
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(Text(line), refresh=True)
        elif progress.step:
            self._console.print(line, markup=False)


def progress_line(progress: Progress) -> str:
    """Return the state of a training in one line."""
    parts = [f"step {progress.step}/{progress.steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.accuracy is not None:
        parts.append(f"{'tokens' if progress.stage == 'sft' else 'pairs'} right {progress.accuracy:.0%}")
    if progress.held_out is not None:
        held_out = f"{progress.held_out:.4f}" if progress.stage == "sft" else f"{progress.held_out:.1%}"
        parts.append(f"held out {held_out} (step {progress.held_out_step})")
    done = progress.step - progress.first_step
    if done and progress.step < progress.steps:
        left = (time.monotonic() - progress.started) / done * (progress.steps - progress.step)
        parts.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
    return "  ".join(parts)


def train_job(config: TrainConfig, *, as_json: bool) -> None:
    """Train, and print what came out."""
    from rlaif.train.job import train  # noqa: PLC0415

    with TrainScreen(quiet=as_json) as screen:
        manifest = train(config, screen)
    _print_result(Path(config.out), manifest, as_json=as_json)


def cai_job(config: CaiConfig, *, as_json: bool) -> None:
    """Train on revisions, then on pairs, and print what came out of both."""
    from rlaif.train.cai import train_cai  # noqa: PLC0415

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
    for line in said_of(manifest.figures, manifest.stage):
        print(line)
    print(f"model    {folder}   (card in README.md, curves in curves.png)")
