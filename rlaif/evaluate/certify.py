"""Certify a run: keep the pairs of which, with a given confidence, at most a given share disagrees with people.

Input: the run's pairs, and people's labels of a random sample of them. Output: a `Certificate` with a threshold on
`p_chosen`. The statistics are in `rlaif.stats.selective_risk`; Jung et al. 2024 (Trust or Escalate, arXiv:2407.18370)
do the same for verdicts of language models. The claim needs neither calibrated probabilities nor independent labels,
but a random sample: labels that do not look like one are refused (`rlaif.stats.sample_shift`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from rlaif.errors import GoldError, NotCertifiedError
from rlaif.evaluate.peoples_labels import PeoplesLabels
from rlaif.runs.certificate import Attempt, Certificate, Claim, confidence_of_all, hash_of, percent, score
from rlaif.runs.rows import PreferenceRow
from rlaif.stats.sample_shift import Shift, shifts
from rlaif.stats.selective_risk import NestedSets, fewest_labels, nested_sets
from rlaif.version import __version__

Floats = npt.NDArray[np.float64]

SHIFT_LEVEL = 0.01
"""Largest probability with which a random sample is refused because it does not look like one."""
ROUGHLY = 1.645
"""Normal quantile at 95 %, for the rough number of labels that is still missing."""


@dataclass(frozen=True)
class Terms:
    """What is claimed of the kept pairs."""

    error: float
    """Largest share of kept pairs on which people disagree."""
    confidence: float

    @property
    def alpha(self) -> float:
        """1 - confidence."""
        return 1 - self.confidence


def certify(
    rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms, before: Sequence[Attempt] = ()
) -> Certificate:
    """Return the certificate of a run's pairs. `before`: the earlier attempts on this run.

    Raises GoldError for too few labels and for ones that do not look like a random sample, NotCertifiedError where no
    threshold passes.
    """
    refuse_few(rows, labels, terms)
    refuse_shifted(rows, labels)
    claim = _claim(rows, labels, terms)
    if claim.threshold is None:
        raise NotCertifiedError(_why_not(rows, labels, terms))
    attempt = attempt_of(rows, labels, terms, claim.kept)
    return Certificate(
        **claim.model_dump(),
        rlaif=__version__,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        error=terms.error,
        confidence=terms.confidence,
        confidence_of_all=min(terms.confidence, confidence_of_all((*before, attempt))),
        ties=labels.ties,
        min_p=labels.min_p,
        gold=labels.file,
        gold_hash=labels.hash,
        pairs_hash=attempt.pairs_hash,
        constitution_hash=rows[0].constitution_hash,
        tags=tag_claims(rows, labels, terms),
    )


def attempt_of(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms, kept: int) -> Attempt:
    """Return the record of an attempt to certify, whether it succeeded or not (`kept` is 0)."""
    return Attempt(
        error=terms.error,
        confidence=terms.confidence,
        gold_hash=labels.hash,
        pairs_hash=hash_of(rows),
        kept=kept,
    )


def refuse_few(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> None:
    """Raise GoldError for fewer labels than can show anything; this is not an attempt, because it cannot succeed."""
    fewest = min(fewest_labels(terms.error, terms.alpha), len(_frame(rows, labels)[0]))
    if len(labels) < fewest:
        raise GoldError(
            f"{labels.file}: has labels of {len(labels)} pairs; fewer than {fewest} show nothing at an error of "
            f"{percent(terms.error)} with {percent(terms.confidence)} confidence, whatever they are: label more pairs"
        )


def refuse_shifted(rows: Sequence[PreferenceRow], labels: PeoplesLabels) -> None:
    """Raise GoldError where the labelled pairs do not look like a random sample of those they were drawn from."""
    rows, labels = _frame(rows, labels)
    sampled = np.zeros(len(rows), dtype=np.bool_)
    sampled[labels.positions] = True
    tags = {f"tag {tag}": np.isin(np.arange(len(rows)), places) for tag, places in _places_of_tags(rows).items()}
    found = shifts(_numbers(rows), tags, sampled, SHIFT_LEVEL)
    if found:
        raise GoldError(
            f"{labels.file}: the {len(labels)} labelled pairs are not like a random sample of the run's {len(rows)}: "
            f"{'; '.join(_shift_words(shift) for shift in found)}. Label a sample that --sample draws, all of it"
        )


def _numbers(rows: Sequence[PreferenceRow]) -> dict[str, Floats]:
    """Return (N,) values of each number by which sampled pairs are compared with all."""
    chosen, rejected = (
        np.array([len(response[0].content) for response in responses], dtype=float)
        for responses in ([row.chosen for row in rows], [row.rejected for row in rows])
    )
    prompts = [sum(len(turn.readable) for turn in row.prompt) for row in rows]
    return {
        "p_chosen": scores_of(rows),
        "log length ratio of chosen to rejected": np.log(np.maximum(chosen, 1) / np.maximum(rejected, 1)),
        "characters of the prompt": np.array(prompts, dtype=float),
        "characters of the responses": chosen + rejected,
        "place in the run": np.arange(1, len(rows) + 1, dtype=float),
    }


def _shift_words(shift: Shift) -> str:
    kind, form = ("median ", ".3g") if shift.test == "Kolmogorov-Smirnov" else ("", ".0%")
    return (
        f"{shift.name} ({kind}{shift.sampled:{form}}, in the run {shift.table:{form}}; {shift.test}, p = {shift.p:.2g})"
    )


def tag_claims(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> dict[str, Claim]:
    """Return a claim about the pairs with each frequent tag; tags that all pairs have are left out.

    All claims together hold with the confidence: with t tags, each is tested with alpha / t (Bonferroni). Tested are
    the most frequent tags, as many as can be expected to have enough labels to be certified if people always agree.
    """
    places = _places_of_tags(rows)
    frame, _ = _frame(rows, labels)
    inside = {tag: len(found) for tag, found in _places_of_tags(frame).items() if len(places[tag]) < len(rows)}
    labels_of = {tag: len(labels) * count / len(frame) for tag, count in inside.items()}
    ordered = sorted(labels_of, key=lambda tag: (-labels_of[tag], tag))
    enough = [t for t, tag in enumerate(ordered, 1) if labels_of[tag] >= fewest_labels(terms.error, terms.alpha / t)]
    tested = ordered[: max(enough, default=0)]
    each = Terms(terms.error, 1 - terms.alpha / max(len(tested), 1))
    return {tag: _claim_of_some(rows, places[tag], labels, each) for tag in tested}


def _places_of_tags(rows: Sequence[PreferenceRow]) -> dict[str, list[int]]:
    """Return the places of the rows with each tag."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for tag in dict.fromkeys(row.tags):
            places.setdefault(tag, []).append(place)
    return places


def _claim_of_some(rows: Sequence[PreferenceRow], places: Sequence[int], labels: PeoplesLabels, terms: Terms) -> Claim:
    """Return the claim about the rows at some places."""
    return _claim([rows[place] for place in places], _labels_of(labels, places), terms)


def _claim(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> Claim:
    """Return the claim about the largest set of rows that passes; with no threshold where none does."""
    sets = _sets(rows, labels, terms)
    found = sets.largest(labels.disagrees)
    if found is None:
        return Claim(rows=len(rows), labels=len(labels), threshold=None, kept=0, kept_labels=0, disagreements=0)
    return Claim(
        rows=len(rows),
        labels=len(labels),
        threshold=float(sets.thresholds[found]),
        kept=int(sets.rows[found]),
        kept_labels=int(sets.labels[found]),
        disagreements=int(sets.wrong_labels(labels.disagrees)[found]),
    )


def _sets(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> NestedSets:
    """Return the sets to test, of the rows that the sample was drawn from, at least one."""
    frame, drawn = _frame(rows, labels)
    return nested_sets(scores_of(frame), drawn.positions, terms.error, terms.alpha)


def _frame(rows: Sequence[PreferenceRow], labels: PeoplesLabels) -> tuple[Sequence[PreferenceRow], PeoplesLabels]:
    """Return the rows that a sample was drawn from, and the labels with their positions among these."""
    places = [place for place, row in enumerate(rows) if score(row) >= labels.min_p]
    return [rows[place] for place in places], _labels_of(labels, places)


def _labels_of(labels: PeoplesLabels, places: Sequence[int]) -> PeoplesLabels:
    """Return the labels of the rows at some places, with their positions among these, in the same order."""
    position = {place: n for n, place in enumerate(places)}
    inside = np.array([int(place) in position for place in labels.positions], dtype=np.bool_)
    moved = np.array([position[int(place)] for place in labels.positions[inside]], dtype=np.int64)
    return replace(labels, positions=moved, disagrees=labels.disagrees[inside])


def _why_not(rows: Sequence[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> str:
    """Return why no threshold passed, and about how many labels would be needed."""
    sets, wrong, n = _sets(rows, labels, terms), labels.disagrees, len(labels)
    seen = (
        f"nothing can be certified at an error of {percent(terms.error)} with {percent(terms.confidence)} confidence: "
        f"people disagree with {int(wrong.sum())} of {n} labels"
    )
    if n == sets.rows[-1]:
        return f"{seen}, which are all; allow a larger --error"
    errors = sets.wrong_labels(wrong)
    shares = (errors + 1) / (sets.labels + 2)  # Laplace's estimate: 0 of a few labels is not a share of zero
    needed = np.where(shares < terms.error, _needed(sets.labels, shares, n, terms), np.inf)
    best = int(np.argmin(needed))
    if not np.isfinite(needed[best]):
        return (
            f"{seen}, and no threshold has a clearly smaller share than {percent(terms.error)}; allow a larger --error"
        )
    rough = min(max(int(np.ceil(needed[best] / 50) * 50), n + 50), int(sets.rows[-1]))
    return (
        f"{seen}, and at a p_chosen of at least {sets.thresholds[best]:.3f} with {errors[best]} of "
        f"{sets.labels[best]}; if that share stays, about {rough} labels in all are needed"
    )


def _needed(labels: npt.NDArray[np.int64], shares: Floats, n: int, terms: Terms) -> Floats:
    """Return about how many labels in all each set needs to pass, by the normal approximation.

    `labels`: (s,) labels in each set, of `n`. `shares`: (s,) shares of wrong labels, taken as true ones.
    """
    with np.errstate(divide="ignore"):
        inside = ROUGHLY**2 * terms.error * (1 - terms.error) / (terms.error - shares) ** 2
    needed: Floats = np.maximum(inside, fewest_labels(terms.error, terms.alpha)) * n / np.maximum(labels, 1)
    return needed


def scores_of(rows: Sequence[PreferenceRow]) -> Floats:
    """Return the (N,) scores of pairs, with which thresholds are compared."""
    return np.array([score(row) for row in rows])
