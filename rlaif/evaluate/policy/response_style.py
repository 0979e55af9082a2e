"""Measure the style of both models' responses to the prompts: refusals, length, stock phrases, variety, phrases.

Phrases typical of a model are found by the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn
2008, "Fightin' Words", equations 16, 19 and 22), over sequences of one to three words. The count of a phrase is, summed
over prompts, the share of a prompt's responses that contain it, so repetitions do not count. Its prior is a tenth of
its count in both models together. Thousands of phrases are compared, so a phrase is listed only if its |z| is above the
95 % quantile of the largest |z| when the two models' responses are exchanged at random, prompt by prompt.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlaif.evaluate.policy.gains_and_losses import SIDES, Line, Measure, Side, paired_tallies, ratio_line
from rlaif.evaluate.policy.outputs import Responses
from rlaif.evaluate.text_metrics import VARIETY_WINDOW, tally_text
from rlaif.records import Prompt, Record
from rlaif.stats.estimates import Array, Tally
from rlaif.stats.jackknife import ALPHA
from rlaif.text.diversity import self_overlap, words

LONGEST = 3
PRIOR = 0.1
FEWEST = 3.0
"""Least count of a phrase (both models together) for it to be compared."""
FEWEST_SHARE = 0.01
"""The same as a share of the number of prompts, if that is larger."""
MOST = 20
"""Largest number of phrases listed for each model."""
SIMILAR_Z = 0.8
"""A phrase is dropped for a longer one that contains it if the longer one's |z| is at least this share of its own."""
ROUNDS = 400
"""Number of random exchanges of the responses."""
AT_ONCE = 4000
"""Phrases processed together, to limit memory."""

REFUSED = Measure("refused", "manner", "responses that refuse, in whole or in part")
EMPTY = Measure("empty", "manner", "empty responses", "lower")
CUT = Measure("cut", "manner", "responses cut at the maximum length")
WORDS = Measure("words", "manner", "words per response", unit="number")
HEDGES = Measure("hedges", "manner", "hedges per 100 words", unit="number")
BOILERPLATE = Measure("boilerplate", "manner", "stock phrases per 100 words", "lower", "number")
OVERLAP = Measure(
    "overlap", "variety", "overlap of the responses to one prompt (word pairs in common)", "lower", "number"
)
ONE_ANSWER = Measure("one-answer", "variety", "prompts whose responses are all the same", "lower")
VARIETY = Measure("variety", "variety", f"share of different words in {VARIETY_WINDOW} words", "higher", "number")


def style_lines(asked: Sequence[tuple[Prompt, Mapping[Side, Responses]]]) -> list[Line]:
    """Return the lines on the style of both models' responses to the prompts."""
    found = paired_tallies([{side: tally_style(prompt, both[side]) for side in SIDES} for prompt, both in asked])
    return [
        ratio_line(found, REFUSED, "refused", "answers"),
        ratio_line(found, EMPTY, "empty", "answers"),
        ratio_line(found, CUT, "cut", "answers"),
        ratio_line(found, WORDS, "words", "answers"),
        ratio_line(found, HEDGES, "hedges", "hundreds"),
        ratio_line(found, BOILERPLATE, "boilerplate", "hundreds"),
        ratio_line(found, OVERLAP, "overlap", "resampled"),
        ratio_line(found, ONE_ANSWER, "one", "several"),
        ratio_line(found, VARIETY, "variety", "long enough"),
    ]


def tally_style(prompt: Prompt, responses: Responses) -> Tally:
    """Return the tally of one model's responses to one prompt.

    Its keys: those of `text_metrics.tally_text`; refused, empty, cut; overlap (mean over all pairs of responses) and
    resampled (1 where overlap is defined); one (1 if all responses are the same) and several (1 with at least two
    responses).
    """
    tally, texts = Tally(), responses.texts
    for text, cut in zip(texts, responses.cut, strict=True):
        tally.add(tally_text(prompt.messages[-1].content, text))
        tally["empty"] += not text.strip()
        tally["cut"] += cut
    tally["refused"] = tally["refusal"]
    if len(texts) >= 2:
        tally["several"] = 1
        tally["one"] = len({tuple(words(text)) for text in texts}) == 1
        overlap = self_overlap(texts)
        if overlap is not None:
            tally["overlap"], tally["resampled"] = overlap, 1
    return tally


Small = npt.NDArray[np.float32]
_SENTENCE = re.compile(r"[.!?:;\n]+")

Texts = Mapping[Side, Sequence[str]]
"""Both models' responses to one prompt."""


class Phrase(Record):
    """A phrase that is typical of one of the two models."""

    text: str
    base: float
    """Number of prompts whose base responses contain it; a prompt counts by the share of its responses."""
    tuned: float
    log_odds: float
    """Log-odds ratio including the prior; positive if typical of the tuned model."""
    z: float


class Phrases(Record):
    """The typical phrases of both models."""

    looked_at: int
    """Number of phrases compared."""
    threshold: float
    """|z| above which a phrase is listed."""
    gained: tuple[Phrase, ...]
    """Typical of the tuned model, the most typical first."""
    lost: tuple[Phrase, ...]
    """Typical of the base."""


@dataclass(frozen=True)
class _Table:
    """Shares of each prompt's responses that contain each phrase of one length."""

    texts: tuple[str, ...]
    """The phrases that are frequent enough."""
    base: Small
    """(prompts, phrases)"""
    tuned: Small
    base_total: Array
    """(prompts,) sums over all phrases of this length, including rare ones."""
    tuned_total: Array


def typical_phrases(prompts: Iterable[Texts], seed: int = 0) -> Phrases:
    """Return the phrases typical of each model, from both models' responses to the same prompts."""
    asked = list(prompts)
    tables = [_table(asked, length) for length in range(1, LONGEST + 1)]
    scored = [one for table in tables for one in _scored(table)]
    threshold = _largest_by_chance(tables, len(asked), seed)
    typical = sorted((one for one in scored if abs(one.z) > threshold), key=lambda one: (-abs(one.z), one.text))
    return Phrases(
        looked_at=len(scored),
        threshold=threshold,
        gained=_without_parts([one for one in typical if one.z > 0]),
        lost=_without_parts([one for one in typical if one.z < 0]),
    )


def _table(asked: Sequence[Texts], length: int) -> _Table:
    """Return the counts of the phrases of one length that are frequent enough."""
    counts: dict[str, float] = defaultdict(float)
    totals = {side: np.zeros(len(asked)) for side in SIDES}
    for place, side, phrase, share in _each(asked, length):
        counts[phrase] += share
        totals[side][place] += share
    fewest = max(FEWEST, len(asked) * FEWEST_SHARE)
    columns = {text: column for column, text in enumerate(sorted(t for t, n in counts.items() if n >= fewest))}
    found = {side: np.zeros((len(asked), len(columns)), dtype=np.float32) for side in SIDES}
    # The texts are read twice, because storing all phrases, most of which are rare, would take too much memory.
    for place, side, phrase, share in _each(asked, length):
        if phrase in columns:
            found[side][place, columns[phrase]] += share
    return _Table(tuple(columns), found["base"], found["tuned"], totals["base"], totals["tuned"])


def _each(asked: Sequence[Texts], length: int) -> Iterator[tuple[int, Side, str, float]]:
    """Yield (prompt's index, model, phrase, 1 / responses of the prompt) for every phrase of every response."""
    for place, both in enumerate(asked):
        for side in SIDES:
            for text in both[side]:
                for phrase in _phrases(text, length):
                    yield place, side, phrase, 1 / len(both[side])


def _phrases(text: str, length: int) -> set[str]:
    """Return all phrases of `length` words, each within one sentence."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(text):
        tokens = words(sentence)
        found.update(" ".join(phrase) for phrase in zip(*(tokens[start:] for start in range(length)), strict=False))
    return found


def _scored(table: _Table) -> Iterator[Phrase]:
    """Yield every phrase with its z-score."""
    base, tuned = table.base.sum(axis=0, dtype=float), table.tuned.sum(axis=0, dtype=float)
    log_odds, z = _z_scores(base, tuned, table.base_total.sum(), table.tuned_total.sum())
    for place, text in enumerate(table.texts):
        yield Phrase(
            text=text,
            base=float(base[place]),
            tuned=float(tuned[place]),
            log_odds=float(log_odds[place]),
            z=float(z[place]),
        )


def _z_scores(base: Array, tuned: Array, base_total: Array, tuned_total: Array) -> tuple[Array, Array]:
    """Return (…, phrases) log-odds ratios and z-scores from (…, phrases) counts and (…) or (…, 1) totals."""
    prior, prior_total = PRIOR * (base + tuned), PRIOR * (base_total + tuned_total)
    above_base, above_tuned = base + prior, tuned + prior
    with np.errstate(divide="ignore", invalid="ignore"):
        odds_base = np.log(above_base / (base_total + prior_total - above_base))
        odds_tuned = np.log(above_tuned / (tuned_total + prior_total - above_tuned))
        log_odds = np.nan_to_num(odds_tuned - odds_base, posinf=0.0, neginf=0.0)
    return log_odds, log_odds / np.sqrt(1 / above_base + 1 / above_tuned)


def _largest_by_chance(tables: Sequence[_Table], prompts: int, seed: int) -> float:
    """Return the 95 % quantile of the largest |z| of all phrases over rounds of randomly exchanged responses."""
    rng = np.random.default_rng(seed)
    exchanged = rng.integers(0, 2, size=(ROUNDS, prompts)).astype(np.float32)
    largest = np.zeros(ROUNDS)
    for table in tables:
        gained = exchanged @ (table.tuned_total - table.base_total)
        base_total, tuned_total = table.base_total.sum() + gained, table.tuned_total.sum() - gained
        for start in range(0, len(table.texts), AT_ONCE):
            base, tuned = (one[:, start : start + AT_ONCE] for one in (table.base, table.tuned))
            moved = exchanged @ (tuned - base)
            counts = base.sum(axis=0) + moved, tuned.sum(axis=0) - moved
            _, z = _z_scores(*counts, base_total[:, None], tuned_total[:, None])
            largest = np.maximum(largest, np.abs(z).max(axis=1))
    return float(np.quantile(largest, 1 - ALPHA))


def _without_parts(typical: Sequence[Phrase]) -> tuple[Phrase, ...]:
    """Return the first MOST phrases, without those that are part of a longer phrase with a similar z."""
    kept: list[Phrase] = []
    for phrase in typical:
        longer = (one for one in typical if _contains(one, phrase) and abs(one.z) >= SIMILAR_Z * abs(phrase.z))
        if not any(longer) and not any(_contains(phrase, one) or _contains(one, phrase) for one in kept):
            kept.append(phrase)
        if len(kept) == MOST:
            break
    return tuple(kept)


def _contains(longer: Phrase, phrase: Phrase) -> bool:
    return longer is not phrase and f" {phrase.text} " in f" {longer.text} "
