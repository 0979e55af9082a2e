"""From a trace to its preference pairs, or to the reason why it has none.

A pure function of the verdicts, the constitution's weights, the critic's position bias over the run, and the
thresholds: the same run concluded with another threshold needs no model.
"""

from collections.abc import Mapping

from rlaif.config import RunConfig
from rlaif.hashing import derive_seed
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.preferences.ranking import mean_win_probabilities, wanted_pairs
from rlaif.records import Probability, Record, Trace


class Pair(Record):
    """One row of a preference dataset, by reference to the trace that explains it."""

    prompt_id: str
    chosen: str
    rejected: str
    p_chosen: Probability
    """Probability that the chosen answer is the better one, from their own matchup in both orders."""
    margin: float
    """p_chosen - 0.5: how far from a tie, above 0 and at most 0.5."""
    score_chosen: float
    """Mean probability of beating the other candidates of the prompt."""
    score_rejected: float
    principles: dict[str, Probability]
    """For each principle that was read, the probability that the chosen answer is the better one."""
    position_bias: float | None
    label_mass: float | None
    order_agreement: float | None


class Conclusion(Record):
    """All that follows from one trace."""

    prompt_id: str
    judgements: tuple[Judgement, ...]
    scores: dict[str, float]
    pairs: tuple[Pair, ...]
    no_pair: str | None
    """Why there is no pair at all; None when there is one."""

    def judgement_of(self, pair: Pair) -> Judgement:
        """Return the direct verdict that a pair comes from."""
        return next(j for j in self.judgements if {j.a, j.b} == {pair.chosen, pair.rejected})


def conclude(
    trace: Trace,
    weights: Mapping[str, float],
    config: RunConfig,
    bias: PositionBias | None,
    priorities: Mapping[str, int] | None = None,
) -> Conclusion:
    """Judge every matchup of a trace, rank its candidates, and select its pairs."""
    judgements = tuple(judge_matchup(matchup, weights, config.judging, bias, priorities) for matchup in trace.matchups)
    scores = mean_win_probabilities(judgements)
    wanted = wanted_pairs(scores, trace.forebears(scores), config.pairs, pairs_seed(config, trace.prompt.id))
    by_ids = {frozenset((j.a, j.b)): j for j in judgements}
    pairs: list[Pair] = []
    refused: list[str] = []
    for first, second in wanted:
        outcome = _pair(
            trace.prompt.id, first, second, by_ids, scores, free=config.pairs.select == "revision-vs-parent"
        )
        if isinstance(outcome, Pair):
            pairs.append(outcome)
        else:
            refused.append(outcome)
    pairs.sort(key=lambda pair: -pair.margin)
    return Conclusion(
        prompt_id=trace.prompt.id,
        judgements=judgements,
        scores=scores,
        pairs=tuple(pairs[: config.pairs.per_prompt]),
        no_pair=None if pairs else _why_none(trace, config, judgements, refused),
    )


def pairs_seed(config: RunConfig, prompt_id: str) -> int:
    """Return the seed of the random opponent in `best-vs-random`."""
    return derive_seed(config.seed, prompt_id, "pairs")


def _pair(
    prompt_id: str,
    first: str,
    second: str,
    by_ids: Mapping[frozenset[str], Judgement],
    scores: Mapping[str, float],
    *,
    free: bool,
) -> Pair | str:
    """Return the pair of two candidates or why it may not be one; `free` lets the verdict choose the winner."""
    judgement = by_ids.get(frozenset((first, second)))
    if judgement is None:
        return "not compared directly"
    if judgement.abstention is not None or judgement.p is None:
        return judgement.abstention or "unreadable"
    winner, loser = (judgement.a, judgement.b) if judgement.p > 0.5 else (judgement.b, judgement.a)
    if not free and winner != first:
        return "ranking and direct verdict disagree"
    p_chosen = max(judgement.p, 1 - judgement.p)
    return Pair(
        prompt_id=prompt_id,
        chosen=winner,
        rejected=loser,
        p_chosen=p_chosen,
        margin=p_chosen - 0.5,
        score_chosen=scores[winner],
        score_rejected=scores[loser],
        principles={part.principle: part.p if winner == judgement.a else 1 - part.p for part in judgement.principles},
        position_bias=judgement.position_bias,
        label_mass=judgement.label_mass,
        order_agreement=judgement.order_agreement,
    )


def _why_none(trace: Trace, config: RunConfig, judgements: tuple[Judgement, ...], refused: list[str]) -> str:
    if refused:
        return refused[0]
    if not trace.judged_by and not trace.checked_by:
        return "not judged" if config.judging.kind == "none" else "no principle applies"
    if not trace.matchups:
        return "fewer than two different answers"
    if all(judgement.p is None for judgement in judgements):
        return "unreadable"
    if all(judgement.abstention == "tie" for judgement in judgements):
        return "tie"
    return "nothing to pair under this selection"
