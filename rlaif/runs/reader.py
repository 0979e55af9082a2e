"""A run as one reads it: configuration, traces, and what follows from them. Writes nothing but the summary."""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError, UsageError
from rlaif.preferences.judgement import Rule
from rlaif.preferences.length import LengthEffect, length_effect
from rlaif.preferences.pairs import Conclusion, conclude
from rlaif.preferences.position import PositionBias
from rlaif.preferences.recalibration import Correction
from rlaif.records import Failure, Trace
from rlaif.runs.calibrate import correction_of, uncorrected
from rlaif.runs.directory import TRACES, Manifest, ServedModels, read_config, read_manifest, read_models, read_text
from rlaif.runs.rows import PreferenceRow, Provenance, RevisionRow, preference_rows, revision_rows
from rlaif.runs.store import TraceReader
from rlaif.yaml_file import read_yaml

if TYPE_CHECKING:
    import pandas


class Run:
    """A run directory, open for reading. Cheap to make; reads traces one by one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest: Manifest = read_manifest(self.path)
        self.config: RunConfig = read_config(self.path)
        self.constitution: Constitution = read_yaml(self.path / "constitution.yaml", Constitution)
        if self.constitution.hash != self.manifest.constitution_hash:
            raise RunDirectoryError(
                f"{self.path}/constitution.yaml was changed after the run (now {self.constitution.hash}, made with "
                f"{self.manifest.constitution_hash}); put it back, and use another --out for other rules"
            )

    @property
    def models(self) -> ServedModels:
        """Which models answered."""
        return read_models(self.path)

    @property
    def has_models(self) -> bool:
        """Whether any model has answered yet."""
        return (self.path / "models.json").is_file()

    @property
    def judge_identities(self) -> dict[str, str]:
        """By the judges' names: which model spoke for each, as the reply store knows it."""
        models = self.models
        names = (judge.called for judge in self.config.judging.panel)
        return {name: models.judge_identities.get(name, models.critic_identity) for name in names}

    @property
    def judged_with(self) -> str:
        """The models that judged, by their served names."""
        models = self.models
        names = [models.judges.get(judge.called, models.critic) for judge in self.config.judging.panel]
        return ", ".join(dict.fromkeys(names)) or models.critic

    @property
    def session(self) -> dict[str, float]:
        """What the last process that worked on the run spent; empty when it left no summary."""
        try:
            found = json.loads(read_text(self.path / "summary.json"))["session"]
            return {str(name): float(value) for name, value in found.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def position_bias(self) -> PositionBias:
        """The critic's position bias over the whole run; reads all traces once."""
        prompts = (trace.matchups for trace in self.traces())
        return PositionBias.measure_prompts(prompts, self.config.judging.min_label_mass)

    @cached_property
    def rule(self) -> Rule:
        """How this run's principles become one decision."""
        rules, recalibrate = self.constitution, self.correction.recalibrate
        return self.config.judging.rule(rules.weights, rules.priorities, self.position_bias, recalibrate)

    def traces(self) -> Iterator[Trace]:
        """Yield all traces in the order of the prompts."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            yield from reader.traces()

    def trace(self, prompt_id: str) -> Trace:
        """Return one trace. Raises UsageError when the run has none of this id."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            trace = reader.trace(prompt_id)
            if trace is None:
                known = prompt_id in set(reader.prompt_ids())
                raise UsageError(
                    f"prompt {prompt_id!r} of {self.path} is no trace yet"
                    if known
                    else f"{self.path} has no prompt {prompt_id!r}; `rlaif show {self.path}` lists them"
                )
        return trace

    def failures(self) -> list[Failure]:
        """Return the prompts that failed, and why."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            return list(reader.failures())

    def prompt_count(self) -> int:
        """Return how many prompts the run has, finished or not."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            return reader.prompt_count()

    def conclude(self, trace: Trace) -> Conclusion:
        """Return what follows from one trace under this run's rules and thresholds."""
        config = self.config
        return conclude(
            trace, self.rule, config.pairs, config.seed, self.correction, nothing_asked=config.judging.nothing_asked
        )

    @cached_property
    def length_effect(self) -> LengthEffect:
        """What length is worth to the judges, as far as the run can tell; reads all traces once."""
        return length_effect(reading for _, reading in uncorrected(self))

    @cached_property
    def correction(self) -> Correction:
        """What is corrected in the log-odds before they become labels. Raises ConfigError for what does not fit."""
        return correction_of(self)

    def conclusions(self) -> Iterator[tuple[Trace, Conclusion]]:
        """Yield every trace with what follows from it."""
        for trace in self.traces():
            yield trace, self.conclude(trace)

    def preference_rows(self) -> Iterator[PreferenceRow]:
        """Yield the preference pairs, as the dataset has them."""
        return preference_rows(self.conclusions(), self._provenance)

    def revision_rows(self) -> Iterator[RevisionRow]:
        """Yield the revisions, as the dataset for supervised fine-tuning has them."""
        return revision_rows(self.conclusions(), self._provenance)

    @property
    def _provenance(self) -> Provenance:
        return Provenance(
            critic=self.judged_with,
            constitution=self.manifest.constitution,
            constitution_hash=self.manifest.constitution_hash,
        )

    @property
    def pairs(self) -> "pandas.DataFrame":
        """The preference pairs, one row each, with the columns of the exported dataset."""
        import pandas  # noqa: PLC0415

        rows = [row.model_dump(mode="json") for row in self.preference_rows()]
        return pandas.DataFrame(rows, columns=list(PreferenceRow.model_fields))
