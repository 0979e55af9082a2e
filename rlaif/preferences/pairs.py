"""From a trace to its preference pairs, or to the reason why it has none.

A pure function of the verdicts, the constitution's weights, the critic's position bias over the run, and the
thresholds: no model is needed to conclude the same run with another threshold.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from rlaif.preferences.judgement import (
    ROUNDING,
    Judgement,
    Rule,
    deciding_principles,
    judge_matchup,
    observation,
    order_noise,
)
from rlaif.preferences.logits import weighted_mean
from rlaif.preferences.posterior import Evidence
from rlaif.preferences.ranking import PairsConfig, Strength, rank, scores_of, wanted_pairs
from rlaif.preferences.recalibration import NO_CORRECTION, Correction
from rlaif.records import Probability, Record, Response, Trace
from rlaif.seeds import derive_seed
from rlaif.stats.log_odds import sigmoid

Basis = Literal["posterior", "matchup", "checks"]


class Pair(Record):
    """One row of a preference dataset, by reference to the trace that explains it."""

    prompt_id: str
    chosen: str
    rejected: str
    p_chosen: Probability
    """Probability that the chosen response is better, corrections applied."""
    p_chosen_from: Basis
    """`posterior`: from all matchups of the prompt and the noise over the run. `matchup`: from the pair's own matchup,
    where the noise is not known or a check is in its mean. `checks`: from programs alone."""
    p_raw: Probability
    """From the pair's own matchup, before corrections."""
    subtracted: float | None = None
    """Log-odds for the chosen response that were subtracted for surface features; None where no correction is made."""
    margin: float
    """p_chosen - 0.5: how far from a tie, above 0 and at most 0.5."""
    score_chosen: float
    """Strength among the prompt's candidates, in logits above their mean (Bradley-Terry)."""
    score_rejected: float
    score_chosen_se: float | None
    """Standard error of its score; None where there are too few matchups to estimate it."""
    score_rejected_se: float | None
    principles: dict[str, Probability]
    """For each readable principle, the probability that the chosen response is better."""
    position_bias: float | None
    label_mass: float | None
    order_agreement: float | None
    sd_principles: float | None
    """Weighted standard deviation of the principles' log-odds; None with fewer than two."""
    sd_judges: float | None
    """Standard deviation between judges within a principle, averaged; None where no principle has two judges."""
    sd_orders: float | None
    """Disagreement of the two orders beyond the judges' constant position bias, in logits; None with one order."""
    objecting: tuple[str, ...]
    """Principles that by themselves would have chosen the other response."""


class Conclusion(Record):
    """Everything concluded from one trace."""

    prompt_id: str
    judgements: tuple[Judgement, ...]
    strengths: dict[str, Strength]
    """By candidate, of those with a readable matchup."""
    pairs: tuple[Pair, ...]
    no_pair: str | None
    """Why there is no pair at all; None when there is one."""
    not_paired: dict[str, int]
    """Reasons why selected pairs did not become one, and how often."""

    @property
    def scores(self) -> dict[str, float]:
        """Strength of each candidate, in logits above their mean."""
        return scores_of(self.strengths)

    def with_pairs(self, kept: int) -> Self:
        """Return the conclusion with only the first `kept` pairs; the others are counted as beyond max_pairs."""
        left_out = {BEYOND: len(self.pairs) - kept}
        return self.model_copy(
            update={
                "pairs": self.pairs[:kept],
                "no_pair": None if kept else BEYOND,
                "not_paired": self.not_paired | left_out,
            }
        )

    def judgement_of(self, pair: Pair) -> Judgement:
        """Return the judgement of the pair's own matchup."""
        return next(j for j in self.judgements if {j.a, j.b} == {pair.chosen, pair.rejected})


def conclude(
    trace: Trace,
    rule: Rule,
    pairs: PairsConfig,
    run_seed: int,
    correction: Correction = NO_CORRECTION,
    *,
    nothing_asked: str | None = None,
) -> Conclusion:
    """Judge all matchups of a trace, rank its candidates, and select its pairs.

    `nothing_asked` is the reason for having no pair where neither a principle nor a check applied.
    """
    rule = rule.for_prompt(trace.prompt)
    lengths = {response.id: len(response.text) for response in trace.responses}
    judgements = tuple(judge_trace(trace, rule, correction))
    strengths = rank(judgements)
    scores = scores_of(strengths)
    sides, seed = sides_of(trace.responses, pairs), pairs_seed(run_seed, trace.prompt.id)
    wanted = wanted_pairs(scores, trace.ancestors(scores), pairs, seed, lengths, sides)
    judged = _judged(trace.prompt.id, judgements, strengths, rule, correction)
    found: list[Pair] = []
    refused: list[str] = []
    for first, second in wanted:
        outcome = _pair(judged, first, second, free=pairs.select == "revision-vs-parent")
        if outcome == CONTRADICTION and pairs.select == "policy-vs-policy":
            outcome = OTHER_POLICY
        if isinstance(outcome, Pair):
            found.append(outcome)
        else:
            refused.append(outcome)
    found.sort(key=lambda pair: -pair.margin)
    return Conclusion(
        prompt_id=trace.prompt.id,
        judgements=judgements,
        strengths=strengths,
        pairs=tuple(found[: pairs.per_prompt]),
        not_paired=dict(Counter([*refused, *[ENOUGH] * len(found[pairs.per_prompt :])])),
        no_pair=None if found else _why_none(trace, judgements, refused, nothing_asked),
    )


def judge_trace(trace: Trace, rule: Rule, correction: Correction) -> Iterator[Judgement]:
    """Yield the judgement of each matchup of a trace."""
    texts = {response.id: response.text for response in trace.responses}
    corrected = replace(rule.for_prompt(trace.prompt), recalibrate=correction.recalibrate)
    for matchup in trace.matchups:
        shift = correction.shift_between(texts[matchup.a], texts[matchup.b])
        yield judge_matchup(matchup, corrected, shift=shift)


def pairs_seed(run_seed: int, prompt_id: str) -> int:
    """Return the seed of the random opponent in `best-vs-random`."""
    return derive_seed(run_seed, prompt_id, "pairs")


CONTRADICTION = "ranking and direct verdict disagree"
OTHER_POLICY = "the other policy's response is better"
ENOUGH = "a pair of larger margin taken"
BEYOND = "beyond max_pairs"


def sides_of(responses: Sequence[Response], pairs: PairsConfig) -> tuple[list[str], list[str]]:
    """Return the samples of the two policies of `policy-vs-policy`: those to be chosen, and those to be rejected."""
    samples = [response for response in responses if response.origin == "sample"]
    names = list(dict.fromkeys(response.policy for response in samples))
    chosen = pairs.chosen_policy or next((name for name in names if name != pairs.rejected_policy), None)
    rejected = pairs.rejected_policy or next((name for name in names if name != chosen), None)
    one, other = ([r.id for r in samples if r.policy == side] for side in (chosen, rejected))
    return one, other


def evidence_of(prompt_id: str, judgements: Sequence[Judgement], rule: Rule) -> Evidence | None:
    """Return a prompt's matchups as evidence on its candidates' quality; None where no judge alone decided any."""
    observed = [one for judgement in judgements if (one := observation(judgement, rule)) is not None]
    return Evidence.of(prompt_id, observed) if observed else None


@dataclass(frozen=True)
class _Judged:
    """The judgements of one prompt, and what probabilities are made with."""

    prompt_id: str
    by_ids: Mapping[frozenset[str], Judgement]
    strengths: Mapping[str, Strength]
    rule: Rule
    correction: Correction
    evidence: Evidence | None

    def p(self, judgement: Judgement, winner: str, loser: str) -> tuple[float, Basis]:
        """Return the probability that the winner of a judgement is better, and where it comes from."""
        direct = judgement.p_of(winner) or 0.0
        if deciding := deciding_principles(judgement, self.rule):
            if all(part.by_program for part in deciding):
                return direct, "checks"
            if any(part.by_program for part in deciding):
                return direct, "matchup"
        if self.correction.quality is None or self.evidence is None:
            return direct, "matchup"
        return self.correction.p_of(self.correction.quality.difference(self.evidence, winner, loser)), "posterior"


def _judged(
    prompt_id: str,
    judgements: Sequence[Judgement],
    strengths: Mapping[str, Strength],
    rule: Rule,
    correction: Correction,
) -> _Judged:
    return _Judged(
        prompt_id=prompt_id,
        by_ids={frozenset((j.a, j.b)): j for j in judgements},
        strengths=strengths,
        rule=rule,
        correction=correction,
        evidence=evidence_of(prompt_id, judgements, rule),
    )


@dataclass(frozen=True)
class Decided:
    """A matchup that has a label."""

    judgement: Judgement
    winner: str
    loser: str
    p: float
    """Probability that the winner is better, above one half."""
    basis: Basis


def decisions(trace: Trace, rule: Rule, correction: Correction) -> dict[frozenset[str], Decided | str]:
    """Return, by its two responses, what every matchup of a trace decides: as a pair would, or why it does not."""
    rule = rule.for_prompt(trace.prompt)
    judgements = tuple(judge_trace(trace, rule, correction))
    judged = _judged(trace.prompt.id, judgements, rank(judgements), rule, correction)
    return {both: _decided(judged, judgement) for both, judgement in judged.by_ids.items()}


def _decided(judged: _Judged, judgement: Judgement, first: str | None = None) -> Decided | str:
    """Return the winner of a judgement, who must be `first` if that is given, or why there is none."""
    if judgement.abstention is not None or judgement.p is None:
        return judgement.abstention or "unreadable"
    winner, loser = (judgement.a, judgement.b) if judgement.p > 0.5 else (judgement.b, judgement.a)
    if first is not None and winner != first:
        return CONTRADICTION
    p, basis = judged.p(judgement, winner, loser)
    if p < 0.5:
        return CONTRADICTION
    if p - 0.5 < judged.rule.min_margin - ROUNDING or p == 0.5:
        return "too close"
    return Decided(judgement, winner, loser, p, basis)


def _pair(judged: _Judged, first: str, second: str, *, free: bool) -> Pair | str:
    """Return the pair of two candidates, or why there is none; with `free` either may be the winner."""
    judgement = judged.by_ids.get(frozenset((first, second)))
    if judgement is None:
        return "not compared directly"
    decided = _decided(judged, judgement, None if free else first)
    if isinstance(decided, str):
        return decided
    rule, strengths = judged.rule, judged.strengths
    winner, loser, p_chosen = decided.winner, decided.loser, decided.p
    raw = judgement.logit if judgement.raw_logit is None else judgement.raw_logit
    side = 1 if winner == judgement.a else -1
    p_raw = sigmoid(side * (raw or 0.0))
    return Pair(
        prompt_id=judged.prompt_id,
        chosen=winner,
        rejected=loser,
        p_chosen=p_chosen,
        p_chosen_from=decided.basis,
        p_raw=p_raw,
        subtracted=side * judgement.subtracted if judged.correction.shifts else None,
        margin=p_chosen - 0.5,
        score_chosen=strengths[winner].value,
        score_rejected=strengths[loser].value,
        score_chosen_se=strengths[winner].se,
        score_rejected_se=strengths[loser].se,
        principles={part.principle: part.p if winner == judgement.a else 1 - part.p for part in judgement.principles},
        position_bias=judgement.position_bias,
        label_mass=judgement.label_mass,
        order_agreement=judgement.order_agreement,
        **spread(judgement, rule),
        objecting=judgement.objecting,
    )


def spread(judgement: Judgement, rule: Rule) -> dict[str, float | None]:
    """Return the disagreement of principles, of judges and of the two orders in one judgement, in logits."""
    parts = [part for part in judgement.principles if not part.silent]
    weights = [rule.weight(part.principle) for part in parts]
    judges = rule.judge_weights
    within = [
        (weight, _sd([(judges.get(one.judge, 1.0), one.logit) for one in part.by_judge]))
        for weight, part in zip(weights, parts, strict=True)
        if len(part.by_judge) > 1
    ]
    ordered = any(part.position_bias is not None for part in parts)
    bias = rule.bias
    return {
        "sd_principles": _sd([(w, part.logit) for w, part in zip(weights, parts, strict=True)]) if parts[1:] else None,
        "sd_judges": weighted_mean(within),
        "sd_orders": abs(order_noise(parts, rule, bias)) if ordered and bias is not None else None,
    }


def _sd(pairs: list[tuple[float, float]]) -> float:
    mean = weighted_mean(pairs) or 0.0
    return math.sqrt(weighted_mean([(weight, (value - mean) ** 2) for weight, value in pairs]) or 0.0)


def _why_none(trace: Trace, judgements: tuple[Judgement, ...], refused: list[str], nothing_asked: str | None) -> str:
    if refused:
        return refused[0]
    if nothing_asked is not None and not (trace.judged_by or trace.checked_by or trace.prompt.rubric):
        return nothing_asked
    if not trace.matchups:
        return "fewer than two different answers"
    if all(judgement.p is None for judgement in judgements):
        return "unreadable"
    if all(judgement.abstention == "tie" for judgement in judgements):
        return "tie"
    return "nothing to pair under this selection"
