"""What reviewers say of a run's pairs: counts, their agreement with one another, and with the critic.

Input: the run's pairs, the reviewers' verdicts and the plan. What is said of the run comes from the random share alone:
the first pairs of the random order, up to the first that nobody has reviewed. The other pairs were chosen because much
is learned from them, so on these people agree less, with one another and with the critic, than on the run's pairs.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, takewhile
from statistics import fmean, median

from rlaif.base import Record
from rlaif.errors import UsageError
from rlaif.evaluate.review_plan import Planned, ReviewPlan, queue
from rlaif.runs.pair_ids import id_of
from rlaif.runs.reviews import PersonVerdict, Reviews
from rlaif.runs.rows import PreferenceRow
from rlaif.runs.votes import Votes, votes_of
from rlaif.stats.estimates import Estimate, Tally, tallies_of, wilson
from rlaif.stats.nominal_alpha import alpha_of_pairs
from rlaif.text.wording import counted

TENTATIVE = 0.667
"""Alpha below which Krippendorff (2004) draws not even tentative conclusions."""
FEW = 20
"""Pairs of the random share below which a warning is given."""
BY_CHANCE = 0.01
"""Probability with which a reviewer who does not look at the sides is warned of."""


class Reviewer(Record):
    """One reviewer's verdicts on the run's pairs."""

    verdicts: int
    first: int
    """Times that response 1 is better."""
    second: int
    ties: int
    cannot_tell: int
    words: int
    """Verdicts with words."""
    first_share: Estimate
    """Share of number 1 among the verdicts for one response; sides are shuffled, so 0.5 is expected."""
    agrees_with_others: Estimate
    """Share of the same verdict, over the other reviewers' verdicts on the same pairs; ties are verdicts."""
    agrees_with_critic: Estimate
    """Share that names the response which the critic chose, over the verdicts for one response in the random share."""
    median_seconds: float | None


class ReviewResults(Record):
    """What the reviewers of a run say."""

    pairs: int
    """Pairs of the run."""
    planned: int
    reviewed: int
    """Pairs of the run with a verdict, those of an earlier plan included."""
    reviewed_by_several: int
    """Pairs with two votes or more."""
    not_of_the_run: int
    """Reviewed pairs that the run does not have now, with other thresholds or corrections."""
    random_planned: int
    random_reviewed: int
    """Pairs of the random share that are reviewed, in the random order without a gap."""
    decided: int
    """Reviewed pairs of which more than half of the votes name one response: the people's label."""
    undecided: int
    """Pairs with votes of which not more than half name one response."""
    without_vote: int
    """Pairs of which nobody could tell."""
    reviewers: dict[str, Reviewer]
    alpha: Estimate
    """Krippendorff's alpha over all reviewed pairs."""
    alpha_random: Estimate
    """Krippendorff's alpha over the random share."""
    same: Estimate
    """Share of two reviewers' verdicts on a pair that are the same, over all reviewed pairs."""
    same_random: Estimate
    agrees: Estimate
    """Share of the random share's decided pairs on which the people's label is the critic's."""
    agrees_expected: float | None
    """Mean `p_chosen` over the same pairs: what the critic's probabilities say that share is."""
    random_undecided: int
    """Pairs of the random share without a people's label; they are not part of `agrees`."""
    overturned: int
    """Reviewed pairs on which the people's label is not the critic's."""
    warnings: list[str]


def review_results(rows: Sequence[PreferenceRow], reviews: Reviews, plan: ReviewPlan) -> ReviewResults:
    """Return what the reviewers of a run say. Raises UsageError where nobody has reviewed any of its pairs."""
    by_id = {id_of(row): row for row in rows}
    everything = votes_of(reviews)
    votes = {pair: found for pair, found in everything.items() if pair in by_id}
    if not votes:
        raise UsageError("no pair of this run has been reviewed: rlaif review RUN --reviewer NAME")
    planned = queue(rows, plan)
    sampled = [one for one in planned if one.drawn == "random"]
    reached = reviewed_sample(sampled, votes)
    random = {one.id: votes[one.id] for one in reached}
    decided = {pair: found.majority for pair, found in votes.items() if found.majority is not None}
    alpha, alpha_random = (_alpha(of, by_id) for of in (votes, random))
    results = ReviewResults(
        pairs=len(rows),
        planned=len(planned),
        reviewed=len(votes),
        reviewed_by_several=sum(found.total >= 2 for found in votes.values()),
        not_of_the_run=len(everything) - len(votes),
        random_planned=len(sampled),
        random_reviewed=len(reached),
        decided=len(decided),
        undecided=sum(found.total > 0 and found.majority is None for found in votes.values()),
        without_vote=sum(not found.total for found in votes.values()),
        reviewers={name: _reviewer(name, votes, random, by_id) for name in reviews},
        alpha=alpha,
        alpha_random=alpha_random,
        same=_same(votes, by_id),
        same_random=_same(random, by_id),
        agrees=_agrees(random, by_id),
        agrees_expected=_expected(random, by_id),
        random_undecided=sum(found.majority is None for found in random.values()),
        overturned=sum(by_id[pair].chosen_id != label for pair, label in decided.items()),
        warnings=[],
    )
    return results.model_copy(update={"warnings": warnings_of_review(results)})


def reviewed_sample(sampled: Sequence[Planned], votes: Mapping[str, Votes]) -> list[Planned]:
    """Return the pairs of a random sample, in its order, up to the first that nobody has reviewed."""
    return list(takewhile(lambda one: one.id in votes, sampled))


Rows = Mapping[str, PreferenceRow]
VotesById = Mapping[str, Votes]


def _alpha(votes: VotesById, rows: Rows) -> Estimate:
    counts = []
    for pair, found in votes.items():
        named = found.counted
        a, b = rows[pair].chosen_id, rows[pair].rejected_id
        counts.append((named.get(a, 0), named.get(b, 0), found.ties))
    return alpha_of_pairs(counts, [rows[pair].prompt_id for pair in votes])


def _same(votes: VotesById, rows: Rows) -> Estimate:
    """Return the share of two reviewers' votes on a pair that are the same; ties are votes."""
    tallies = []
    for pair, found in votes.items():
        said = [_said(verdict) for verdict in found.verdicts.values()]
        pairs = list(combinations([one for one in said if one is not None], 2))
        tallies.append((rows[pair].prompt_id, Tally(same=sum(a == b for a, b in pairs), of=len(pairs))))
    return tallies_of(tallies).ratio("same", "of")


def _said(verdict: PersonVerdict) -> str | None:
    """Return the response that a vote names, or `tie`; None where the person cannot tell."""
    return "tie" if verdict.verdict == "tie" else verdict.better


def _agrees(votes: VotesById, rows: Rows) -> Estimate:
    tallies = [
        (rows[pair].prompt_id, Tally(agrees=found.majority == rows[pair].chosen_id, of=1))
        for pair, found in votes.items()
        if found.majority is not None
    ]
    return tallies_of(tallies).ratio("agrees", "of")


def _expected(votes: VotesById, rows: Rows) -> float | None:
    found = [rows[pair].p_chosen for pair, one in votes.items() if one.majority is not None]
    return fmean(found) if found else None


def _reviewer(name: str, votes: VotesById, random: VotesById, rows: Rows) -> Reviewer:
    own = {pair: found.verdicts[name] for pair, found in votes.items() if name in found.verdicts}
    choices = [verdict.verdict for verdict in own.values()]
    first, second = choices.count("first"), choices.count("second")
    seconds = [verdict.seconds for verdict in own.values() if verdict.seconds is not None]
    return Reviewer(
        verdicts=len(own),
        first=first,
        second=second,
        ties=choices.count("tie"),
        cannot_tell=choices.count("cannot-tell"),
        words=sum(verdict.words is not None for verdict in own.values()),
        first_share=wilson(first, first + second),
        agrees_with_others=_with_others(name, own, votes, rows),
        agrees_with_critic=_with_critic(own, random, rows),
        median_seconds=median(seconds) if seconds else None,
    )


def _with_others(name: str, own: Mapping[str, PersonVerdict], votes: VotesById, rows: Rows) -> Estimate:
    tallies = []
    for pair, verdict in own.items():
        said = _said(verdict)
        others = [_said(other) for who, other in votes[pair].verdicts.items() if who != name]
        compared = [other == said for other in others if other is not None and said is not None]
        tallies.append((rows[pair].prompt_id, Tally(same=sum(compared), of=len(compared))))
    return tallies_of(tallies).ratio("same", "of")


def _with_critic(own: Mapping[str, PersonVerdict], random: VotesById, rows: Rows) -> Estimate:
    tallies = [
        (rows[pair].prompt_id, Tally(agrees=verdict.better == rows[pair].chosen_id, of=1))
        for pair, verdict in own.items()
        if pair in random and verdict.better is not None
    ]
    return tallies_of(tallies).ratio("agrees", "of")


def warnings_of_review(found: ReviewResults) -> list[str]:
    """Return what makes the reviewers' verdicts doubtful."""
    return [*_on_agreement(found), *_on_sides(found), *_on_the_sample(found)]


def _on_agreement(found: ReviewResults) -> list[str]:
    alpha, where = (found.alpha_random, "the random share")
    if alpha.value is None or alpha.n < FEW:
        alpha, where = found.alpha, "the reviewed pairs"
    if not found.reviewed_by_several:
        return ["no pair has two votes: nothing is known of how far people agree, so of what one verdict is worth"]
    if alpha.value is None:
        return ["all votes on shared pairs are ties: their agreement cannot be measured"]
    if alpha.value < TENTATIVE:
        return [
            f"the reviewers agree little: alpha is {alpha.value:.2f}{alpha.ends_or_reason('.2f')} on {where}; below "
            f"{TENTATIVE} Krippendorff (2004) draws no conclusions from labels. More votes for each pair help, and "
            "clearer rules"
        ]
    return []


def _on_sides(found: ReviewResults) -> list[str]:
    """Return a warning for each reviewer who names one side more often than chance explains, shuffled as they are."""
    return [
        f"{name} names response {1 if share.value > 0.5 else 2} in {max(share.value, 1 - share.value):.0%} of "
        f"{counted(int(share.n), 'verdict')} for one response, though the sides are shuffled"
        for name, reviewer in found.reviewers.items()
        if (share := reviewer.first_share).value is not None and _one_sided(reviewer.first, reviewer.second)
    ]


def _one_sided(first: int, second: int) -> bool:
    from scipy.stats import binomtest  # noqa: PLC0415  (half a second)

    return bool(binomtest(first, first + second).pvalue < BY_CHANCE)


def _on_the_sample(found: ReviewResults) -> list[str]:
    if found.random_reviewed < min(FEW, found.pairs):
        few = counted(found.random_reviewed, "pair")
        return [f"only {few} of the random share reviewed: what is said of the run rests on these alone"]
    return []
