"""Read a run: its configuration and traces, and the judgements, pairs and rows computed from them."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import RunDirectoryError, UsageError
from rlaif.preferences.judgement import Rule
from rlaif.preferences.label_noise import LabelNoise
from rlaif.preferences.length import LengthEffect, length_effect
from rlaif.preferences.pairs import Conclusion, conclude
from rlaif.preferences.position import PositionBias
from rlaif.preferences.recalibration import Correction
from rlaif.preferences.stopping import Stopping, with_stopping
from rlaif.records import Failure, Matchup, Prompt, Trace
from rlaif.runs.calibrate import correction_of, uncorrected
from rlaif.runs.certificate import mark_certified
from rlaif.runs.directory import TRACES, Manifest, ServedModels, read_config, read_manifest, read_models, read_text
from rlaif.runs.file_labels import (
    FlippedLabel,
    LabelAgreement,
    LabelledRow,
    agreement_of,
    flips_of,
    judge_labels,
    with_p_wrong,
    with_texts,
)
from rlaif.runs.reasoning import ReasoningCounts
from rlaif.runs.redrawn import AgainCounts
from rlaif.runs.rows import PreferenceRow, Provenance, RevisionRow, preference_rows, revision_rows
from rlaif.runs.stopping import stopping_at
from rlaif.runs.store import TraceReader
from rlaif.seeds import content_hash
from rlaif.yaml_file import read_yaml

if TYPE_CHECKING:
    import pandas

SOMETIMES = {"tools", "conversation", "given_label", "chosen_policy", "rejected_policy", "rubric"}
"""Columns that only some runs have."""


class Run:
    """A run directory, open for reading. Cheap to create; traces are read one by one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest: Manifest = read_manifest(self.path)
        self.config: RunConfig = read_config(self.path)
        self.constitution: Constitution = read_yaml(self.path / "constitution.yaml", Constitution)
        if self.constitution.hash != self.manifest.constitution_hash:
            raise RunDirectoryError(
                f"{self.path}/constitution.yaml was changed after the run (hash {self.constitution.hash}, was "
                f"{self.manifest.constitution_hash}); restore it, and choose another --out for other principles"
            )

    @property
    def models(self) -> ServedModels:
        """The models of the run. Raises RunDirectoryError when none was connected yet."""
        return read_models(self.path)

    @property
    def has_models(self) -> bool:
        """Whether the models were connected already."""
        return (self.path / "models.json").is_file()

    @property
    def judge_identities(self) -> dict[str, str]:
        """By the judges' names: the identity of each judge's model in the reply store."""
        models = self.models
        names = (judge.called for judge in self.config.judging.panel)
        return {name: models.judge_identities.get(name, models.critic_identity) for name in names}

    @property
    def judged_with(self) -> str:
        """Served names of the models that judged, separated by commas."""
        models = self.models
        names = [models.judges.get(judge.called, models.critic) for judge in self.config.judging.panel]
        return ", ".join(dict.fromkeys(names)) or models.critic

    @property
    def session(self) -> dict[str, float]:
        """Seconds, replies and tokens of the last session that worked on the run; empty without a summary."""
        try:
            found = json.loads(read_text(self.path / "summary.json"))["session"]
            return {str(name): float(value) for name, value in found.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return {}

    @cached_property
    def _measured(self) -> tuple[PositionBias, ReasoningCounts, AgainCounts]:
        """What one pass over all traces measures."""
        reasoning, again = ReasoningCounts(), AgainCounts()

        def prompts() -> Iterator[tuple[Matchup, ...]]:
            for trace in self.traces():
                reasoning.add(trace)
                again.add(trace)
                yield trace.matchups

        return PositionBias.measure_prompts(prompts(), self.config.judging.min_label_mass), reasoning, again

    @property
    def position_bias(self) -> PositionBias:
        """The critic's position bias over the whole run; reads all traces once."""
        return self._measured[0]

    @property
    def reasoning(self) -> ReasoningCounts:
        """What reasoning did to responses and critiques; reads all traces once, with the position bias."""
        return self._measured[1]

    @property
    def again(self) -> AgainCounts:
        """Responses that were asked again under a larger limit; reads all traces once, with the position bias."""
        return self._measured[2]

    def root(self) -> str:
        """Return the hash of the run: of its manifest and of the hashes of all records."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            return content_hash("run", self.manifest.model_dump_json(), reader.root(), digits=32)

    @cached_property
    def rule(self) -> Rule:
        """The rule by which the principles' log-odds become one judgement."""
        rules, recalibrate = self.constitution, self.correction.recalibrate
        rule = self.config.judging.rule(rules.weights, rules.priorities, self.position_bias, recalibrate)
        return with_stopping(rule, self.stopping)

    @cached_property
    def stopping(self) -> Stopping | None:
        """By what the run's matchups stopped; None where everything was asked."""
        return stopping_at(self.path, self.config)

    @property
    def labelled_rows(self) -> list[LabelledRow]:
        """Every row of the file of responses, in its order, with its labels and what the critic decides of them."""
        return self._labels[0]

    @cached_property
    def label_agreement(self) -> LabelAgreement | None:
        """The labels of the file of responses against what the critic decides; None where it has none."""
        return agreement_of(*self._labels)

    @cached_property
    def _labels(self) -> tuple[list[LabelledRow], LabelNoise | None]:

        def judged(prompt: Prompt, trace: Trace | None) -> LabelledRow:
            return judge_labels(prompt, trace, self.rule, self.correction)

        with TraceReader(self.path / TRACES, Trace) as reader:
            finished = {trace.prompt.id: judged(trace.prompt, trace) for trace in reader.traces()}
            open_rows = {prompt.id: judged(prompt, None) for _, prompt in reader.todo()}
            return with_p_wrong([finished.get(name) or open_rows[name] for name in reader.prompt_ids()])

    def flips(self, most: int | None = None) -> Iterator[FlippedLabel]:
        """Yield the labels of the file that the critic flips, the likeliest wrong ones first, with their texts."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            for one in flips_of(self.labelled_rows)[:most]:
                trace = reader.trace(one.prompt_id)
                assert trace is not None
                yield with_texts(one, trace.prompt)

    def traces(self) -> Iterator[Trace]:
        """Yield all traces in the order of the prompts."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            yield from reader.traces()

    def trace(self, prompt_id: str) -> Trace:
        """Return one trace. Raises UsageError when the prompt has no trace."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            trace = reader.trace(prompt_id)
            if trace is None:
                known = prompt_id in set(reader.prompt_ids())
                raise UsageError(
                    f"prompt {prompt_id!r} of {self.path} has no trace yet; run the generate command again"
                    if known
                    else f"{self.path} has no prompt {prompt_id!r}; `rlaif show {self.path}` lists them"
                )
        return trace

    def failures(self) -> list[Failure]:
        """Return the prompts that failed, and why."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            return list(reader.failures())

    def prompt_count(self) -> int:
        """Return the number of prompts, finished or not."""
        with TraceReader(self.path / TRACES, Trace) as reader:
            return reader.prompt_count()

    def conclude(self, trace: Trace) -> Conclusion:
        """Return the judgements, strengths and pairs of one trace under this run's constitution and thresholds."""
        conclusion = self._conclude(trace)
        kept = self._kept_of.get(trace.prompt.id)
        return conclusion if kept is None else conclusion.with_pairs(kept)

    def accepted_pairs(self) -> int:
        """Return the number of pairs without the limit `max_pairs`; reads all traces."""
        return sum(len(self._conclude(trace).pairs) for trace in self.traces())

    @cached_property
    def _kept_of(self) -> Mapping[str, int]:
        """By prompt: how many of its pairs are within `max_pairs`, where not all are; reads all traces once."""
        kept, left = {}, self.config.max_pairs
        if left is not None:
            for trace in self.traces():
                pairs = len(self._conclude(trace).pairs)
                if pairs > left:
                    kept[trace.prompt.id] = left
                left = max(0, left - pairs)
        return kept

    def _conclude(self, trace: Trace) -> Conclusion:
        config = self.config
        return conclude(
            trace, self.rule, config.pairs, config.seed, self.correction, nothing_asked=config.judging.nothing_asked
        )

    @cached_property
    def length_effect(self) -> LengthEffect:
        """The judges' length effect, estimated from this run's matchups; reads all traces once."""
        return length_effect(reading for _, reading in uncorrected(self))

    @cached_property
    def correction(self) -> Correction:
        """The correction of log-odds before they become labels. Raises ConfigError for one fitted on other judges."""
        return correction_of(self)

    def conclusions(self) -> Iterator[tuple[Trace, Conclusion]]:
        """Yield (trace, conclusion) for every trace, in the order of the prompts."""
        for trace in self.traces():
            yield trace, self.conclude(trace)

    def preference_rows(self) -> Iterator[PreferenceRow]:
        """Yield the preference pairs as rows of the dataset."""
        rows = (row for trace, conclusion in self.conclusions() for row in self.preference_rows_of(trace, conclusion))
        return mark_certified(self.path, rows)

    def preference_rows_of(self, trace: Trace, conclusion: Conclusion) -> Iterator[PreferenceRow]:
        """Yield the pairs of one trace as rows of the dataset, without marks of a certificate."""
        return preference_rows([(trace, conclusion)], self._provenance, reasoning=self.config.pairs.reasoning)

    def revision_rows(self) -> Iterator[RevisionRow]:
        """Yield the revisions as rows of the dataset for supervised fine-tuning."""
        for trace, conclusion in self.conclusions():
            yield from self.revision_rows_of(trace, conclusion)

    def revision_rows_of(self, trace: Trace, conclusion: Conclusion) -> Iterator[RevisionRow]:
        """Yield the revisions of one trace as rows of the dataset."""
        return revision_rows([(trace, conclusion)], self._provenance, reasoning=self.config.pairs.reasoning)

    @cached_property
    def _provenance(self) -> Provenance:
        return Provenance(
            critic=self.judged_with,
            constitution=self.manifest.constitution,
            constitution_hash=self.manifest.constitution_hash,
            min_label_mass=self.config.judging.min_label_mass,
        )

    @property
    def pairs(self) -> "pandas.DataFrame":
        """The preference pairs, one row each, with the columns of the exported dataset."""
        import pandas  # noqa: PLC0415

        rows = [row.model_dump(mode="json") for row in self.preference_rows()]
        used = {name for row in rows for name, value in row.items() if value is not None}
        columns = [name for name in PreferenceRow.model_fields if name in used or name not in SOMETIMES]
        return pandas.DataFrame(rows, columns=columns)
