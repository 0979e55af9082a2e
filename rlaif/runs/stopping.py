"""The file `stopping.json` of a run with `judging.stop`: what its pilot prompts showed, by which the others stop."""

import random
from pathlib import Path

from pydantic import Field, ValidationError

from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError
from rlaif.preferences.stopping import Stopper, Stopping
from rlaif.preferences.stopping_fit import fit_stopping
from rlaif.records import Record, Trace
from rlaif.runs.directory import TRACES, write_json
from rlaif.runs.store import TraceReader
from rlaif.seeds import derive_seed
from rlaif.text.wording import counted

STOPPING = "stopping.json"


class Saved(Record):
    """What stopping saved in a run, and what it changed on the pilot prompts."""

    flip: float
    """The promise."""
    min_margin: float
    """The threshold for which it holds."""
    asked: int = Field(ge=0)
    """Verdicts that were asked."""
    whole: int = Field(ge=0)
    """Verdicts that there are without `judging.stop`."""
    pilot_prompts: int
    pilot_labels: int
    pilot_changed: int
    """Labels of the pilot prompts that the rule would have changed, fitted on the other half of them."""
    pilot_asked: float
    """Share of the pilot's verdicts that it would have asked."""
    holds: bool
    """Whether the promise could be kept on the pilot prompts; otherwise everything was asked."""

    @property
    def words(self) -> str:
        """What was saved, and what is known of the labels."""
        share = self.asked / self.whole if self.whole else 1.0
        if not self.holds:
            return (
                f"nothing: no rule would have kept to {self.flip:.1%} changed labels on the "
                f"{counted(self.pilot_prompts, 'pilot prompt')}, so everything was asked"
            )
        return (
            f"{self.asked:,} of {self.whole:,} verdicts asked ({share:.0%}); of the "
            f"{counted(self.pilot_prompts, 'prompt')} "
            f"where everything was asked, the rule would have asked {self.pilot_asked:.0%} and changed "
            f"{self.pilot_changed} of {counted(self.pilot_labels, 'label')} (promised: {self.flip:.1%}, at min_margin "
            f"{self.min_margin:g})"
        )


def pilot_of(config: RunConfig, prompts: int) -> frozenset[int]:
    """Return the positions of the prompts of which everything is asked; none without `judging.stop`."""
    if config.judging.stop is None:
        return frozenset()
    count = min(prompts, config.judging.stop.pilot_prompts)
    return frozenset(random.Random(derive_seed(config.seed, "pilot")).sample(range(prompts), count))


def stopping_at(path: Path, config: RunConfig) -> Stopping | None:
    """Return what the pilot of a run showed; None without `judging.stop`, or before the pilot is finished."""
    if config.judging.stop is None or not (path / STOPPING).is_file():
        return None
    try:
        return Stopping.model_validate_json((path / STOPPING).read_bytes())
    except (OSError, ValidationError) as error:
        raise RunDirectoryError(f"{path / STOPPING} cannot be read ({str(error).splitlines()[0]}); delete it") from None


def measure_stopping(path: Path, config: RunConfig, constitution: Constitution, pilot: frozenset[int]) -> Stopping:
    """Fit when matchups may stop on the pilot's traces, write it into the run directory, and return it."""
    assert config.judging.stop is not None
    with TraceReader(path / TRACES, Trace) as reader:
        traces = list(reader.traces_at(pilot))
    rule = config.judging.rule(constitution.weights, constitution.priorities)
    found = fit_stopping(traces, rule, [judge.called for judge in config.judging.panel], config.judging.stop.flip)
    write_json(path / STOPPING, found.model_dump(mode="json"))
    return found


def stopper_of(stopping: Stopping, config: RunConfig, constitution: Constitution) -> Stopper:
    """Return what decides when a matchup of the run stops, at the threshold that the pilot was measured at."""
    judging = config.judging.model_copy(update={"min_margin": stopping.min_margin})
    rule = judging.rule(constitution.weights, constitution.priorities, stopping.bias)
    return Stopper(stopping, rule, [judge.called for judge in config.judging.panel])


def saved_of(stopping: Stopping, asked: int, whole: int) -> Saved:
    """Return what stopping saved in a run."""
    return Saved(
        flip=stopping.flip,
        min_margin=stopping.min_margin,
        asked=asked,
        whole=whole,
        pilot_prompts=stopping.prompts,
        pilot_labels=stopping.labels,
        pilot_changed=stopping.changed,
        pilot_asked=stopping.asked / max(1, stopping.verdicts),
        holds=stopping.factor is not None,
    )
