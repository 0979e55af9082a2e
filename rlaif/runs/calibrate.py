"""The correction of a run's log-odds (surface features, noise, overconfidence) from its settings and traces."""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from rlaif.config.judging import CONFOUNDED, JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.preferences.judged_with import JudgedWith
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.length import LengthEffect, LengthReading, length_readings
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.pairs import evidence_of, judge_trace
from rlaif.preferences.position import PositionBias
from rlaif.preferences.posterior import FEWEST, Evidence, Noise, fit_quality
from rlaif.preferences.recalibration import Corrected, Correction, Recalibrator, on_quality_scale
from rlaif.preferences.stopping import Stopping, with_stopping
from rlaif.records import Trace
from rlaif.runs.directory import Manifest, shown_cases, with_own_options
from rlaif.runs.shortcuts import effects_at
from rlaif.seeds import canonical_json
from rlaif.stats.log_odds import sigmoid


class RunFacts(Protocol):
    """The properties of a run on which its correction depends."""

    path: Path
    config: RunConfig
    manifest: Manifest
    constitution: Constitution

    @property
    def position_bias(self) -> PositionBias:
        """The judges' position bias over the whole run."""

    @property
    def stopping(self) -> Stopping | None:
        """By what the run's matchups stopped; None where everything was asked."""

    @property
    def length_effect(self) -> LengthEffect:
        """The judges' length effect, in logits per unit of log length ratio."""

    @property
    def judged_with(self) -> str:
        """Served names of the models that judged."""

    @property
    def judge_identities(self) -> dict[str, str]:
        """Identity of each judge's model, by the judge's name."""

    def traces(self) -> Iterator[Trace]:
        """Yield all traces."""


def correction_of(run: RunFacts) -> Correction:
    """Return the correction of a run's log-odds. Raises ConfigError for a recalibration fitted on other judges."""
    judging = run.config.judging
    recalibrator, effects = recalibrator_at(run.config, run.path), effects_at(run.config, run.path)
    if recalibrator is not None:
        here = judged_with(run)
        _refuse_other_judges(f"{judging.recalibration} was fitted on", recalibrator.fitted_on, here, FIT_ANOTHER)
    if effects is not None:
        here = judged_with(run, uncorrected=True)
        source = f"judging.shortcuts: the effects of {effects.run} were measured on"
        _refuse_other_judges(source, effects.measured_on, here, MEASURE_AGAIN)
    what = Corrected(
        length_effect=judging.length_effect if isinstance(judging.length_effect, float) else None,
        shortcuts=effects.effects if effects else (),
        shortcuts_of=effects.run if effects else None,
        recalibrator=recalibrator,
    )
    # A file of an earlier version is valid for the log-odds of one matchup only.
    if not judging.has_order or (recalibrator is not None and not recalibrator.logits):
        return Correction(what)
    return _with_quality(run, what)


def _with_quality(run: RunFacts, what: Corrected) -> Correction:
    """Add the distribution of noise and quality over the run, after the shift; reads all traces once."""
    rules = run.constitution
    rule = run.config.judging.rule(rules.weights, rules.priorities, run.position_bias)
    rule = with_stopping(rule, run.stopping)
    shifted = Correction(Corrected(length_effect=what.length_effect, shortcuts=what.shortcuts))
    ps = array("d")

    def evidence() -> Iterator[Evidence]:
        for trace in run.traces():
            judgements = list(judge_trace(trace, rule, shifted))
            ps.extend(_ps_of_revisions(trace, judgements))
            if (found := evidence_of(trace.prompt.id, judgements, rule)) is not None:
                yield found

    model = fit_quality(evidence())
    won = {"revisions_judged": len(ps), "revisions_won": sum(p > 0.5 for p in ps), "revisions_mean_p": _mean(ps)}
    what = what.model_copy(update=won)
    if model is None:
        return Correction(what)
    if what.recalibrator is not None:
        what = what.model_copy(update={"recalibrator": on_quality_scale(what.recalibrator, model)})
    return Correction(what.model_copy(update={"noise": model.noise}), model)


def _mean(ps: Sequence[float]) -> float | None:
    return sum(ps) / len(ps) if ps else None


def _ps_of_revisions(trace: Trace, judgements: Iterable[Judgement]) -> Iterator[float]:
    """Yield the judges' probability that a revision is better than its parent, for each readable matchup of the two."""
    parents = trace.ancestors({response.id for response in trace.candidates()})
    for judgement in judgements:
        by_program = any(part.by_program and not part.silent for part in judgement.principles)
        if judgement.logit is not None and abs(judgement.logit) >= TIE_LOGIT and not by_program:
            if parents.get(judgement.a) == judgement.b:
                yield sigmoid(judgement.logit)
            elif parents.get(judgement.b) == judgement.a:
                yield sigmoid(-judgement.logit)


def not_applied(run: RunFacts, made: Correction) -> list[str]:
    """Return a message for each correction that was not applied although it is usual or asked for."""
    judging = run.config.judging
    messages = []
    if made.quality is None:
        messages.append(
            f"p_chosen is that of the pair's own matchup, not calibrated for noise: {_why_not(judging, made)}"
        )
    if judging.length_effect == "run":  # in runs of earlier versions
        messages.append(f"length_effect: run is not applied any more: {CONFOUNDED}")
    if judging.shortcuts == "run" and not made.what.shortcuts:
        messages.append(
            f"judging.shortcuts: run was not applied: nothing was measured on this run yet; run `rlaif evaluate "
            f"shortcuts {run.path}`, then `rlaif generate` again"
        )
    return messages


def _why_not(judging: JudgingConfig, made: Correction) -> str:
    if not judging.has_order:
        return "the judges see one response at a time, so their noise does not show in the verdicts"
    if made.what.recalibrator is not None and not made.what.recalibrator.logits:
        return "the recalibration file is of an earlier version; make it again with rlaif evaluate judge --recalibrate"
    return f"there are fewer than {FEWEST} degrees of freedom to estimate it from; generate more prompts or candidates"


NEARLY_ALWAYS, CONFIDENTLY = 0.9, 0.75
"""Share of matchups with their parent that revisions win, and their mean probability, from which better quality cannot
be told from a preference for revisions."""
FEWEST_REVISIONS = 20


def doubts(made: Corrected) -> list[str]:
    """Return the reasons to doubt a run's probabilities that show in its own verdicts, without labels by people."""
    found, enough = [], made.revisions_judged >= FEWEST_REVISIONS
    nearly_always = made.revisions_won >= NEARLY_ALWAYS * made.revisions_judged
    if enough and nearly_always and (made.revisions_mean_p or 0.0) >= CONFIDENTLY:
        found.append(
            f"revisions win {made.revisions_won} of {made.revisions_judged} matchups with their parents, with a mean p "
            f"of {made.revisions_mean_p:.2f}: a critic that prefers any revision looks the same, so p_chosen of these "
            "pairs may be far too high"
        )
    noise = made.noise
    if noise is not None and not noise.signal_shown:
        found.append(
            "the critic's log-odds are not shown to contain more than noise: they do not agree from matchup to matchup"
        )
    if noise is not None and noise.orders_differ and noise.from_orders is not None:
        found.append(_why_they_differ(noise, math.sqrt(noise.noise), math.sqrt(noise.from_orders)))
    return found


def _why_they_differ(noise: Noise, sd: float, orders: float) -> str:
    if sd <= orders:
        return (
            f"the position bias varies from matchup to matchup (SD {orders:.2g} logits; noise of the log-odds "
            f"{sd:.2g}): it cancels in p_chosen, but more matchups abstain"
        )
    what = "the judges disagree more than their orders" if noise.source == "judges" else "the two orders share errors"
    return (
        f"{what}: a matchup's log-odds have noise of SD {sd:.2g} logits, the orders differ by an SD of {orders:.2g} "
        "only; p_chosen allows for it, order agreement does not show it"
    )


COPY = "recalibration.json"
"""File in a run directory: a copy of the recalibration that its labels were made with."""


def recalibrator_at(config: RunConfig, run: Path | None = None) -> Recalibrator | None:
    """Return the recalibration of a run, or None where the settings name no file. Raises ConfigError.

    A finished run (`run`) uses the copy in its directory; a run that starts uses the named file if it exists.
    """
    if config.judging.recalibration is None:
        return None
    copy = (run or Path(config.out)) / COPY
    named = Path(config.judging.recalibration or "")
    return load_recalibrator(copy if copy.is_file() and (run is not None or not named.is_file()) else named)


def uncorrected(run: RunFacts) -> Iterator[tuple[Judgement, LengthReading]]:
    """Yield (judgement, length reading) of every readable matchup of a run, before any correction."""
    rule = run.config.judging.rule(run.constitution.weights, run.constitution.priorities, run.position_bias)
    for trace in run.traces():
        for matchup in trace.matchups:
            judgement = judge_matchup(matchup, rule)
            for reading in length_readings(trace, [judgement]):
                yield judgement, reading


def load_recalibrator(path: Path) -> Recalibrator:
    """Read the file that `evaluate judge --recalibrate` writes. Raises ConfigError."""
    again = "make one with rlaif evaluate judge --recalibrate"
    try:
        return Recalibrator.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {again}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        where = f"{place}: " if place else ""
        raise ConfigError(f"{path}: is not a recalibration: {where}{first['msg']}; {again}") from None


def judged_with(run: RunFacts, *, uncorrected: bool = False) -> JudgedWith:
    """Return the judges of a run; `uncorrected` leaves out the settings that change no verdict."""
    asked = run.config.judging.asked()
    if uncorrected:
        del asked["length_effect"]
    return JudgedWith(
        critic=run.judged_with,
        constitution=run.constitution.name,
        constitution_hash=run.manifest.constitution_hash,
        asked=asked,
        identities=run.judge_identities,
        words=words_of(run),
    )


FIT_ANOTHER = "A recalibration is valid for the same {valid} only: fit one with rlaif evaluate judge --recalibrate"
MEASURE_AGAIN = "Effects are valid for the same {valid} only: measure them with rlaif evaluate shortcuts"


def _refuse_other_judges(source: str, measured: JudgedWith, here: JudgedWith, advice: str) -> None:
    """Raise ConfigError for what was measured on another critic, constitution, or set of judges."""
    facts = [
        ("the critic", measured.critic, here.critic),
        ("the constitution", measured.constitution_hash, here.constitution_hash),
        ("the judges", canonical_json(with_own_options(measured.asked)), canonical_json(here.asked)),
        ("the models", canonical_json(measured.identities), canonical_json(here.identities)),
        ("the templates", canonical_json(measured.words), canonical_json(here.words)),
    ]
    for what, then, now in facts:
        if then != now:
            valid = "critic, constitution, judges and templates"
            raise ConfigError(
                f"{source} other judges; what differs: {what}: {then}, in this run {now}. {advice.format(valid=valid)}"
            )


def words_of(run: RunFacts) -> dict[str, str]:
    """Return hashes of the judges' templates, by name, and of the cases shown as worked examples."""
    return judging_words(run.manifest.templates, run.config.judging, run.constitution)


def judging_words(templates: Mapping[str, str], judging: JudgingConfig, constitution: Constitution) -> dict[str, str]:
    """Return the hashes in `templates` that belong to judges, and a hash of the cases shown as worked examples."""
    asked = judging.judge_templates
    return {name: digest for name, digest in templates.items() if name in asked} | shown_cases(judging, constitution)
