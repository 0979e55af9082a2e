"""How both models' responses to the prompts read: refusals, length, stock phrases, variety, typical phrases.

Which phrases became typical of the tuned model is the log-odds ratio with an informative Dirichlet prior (Monroe,
Colaresi & Quinn 2008, "Fightin' Words", equations 16, 19 and 22) on sequences of one to three words. Counted is, for
every prompt, the share of its responses that contain the phrase, so that a prompt counts once however often a phrase is
repeated. The prior of a phrase is a tenth of its count in both models together. Thousands of phrases are compared, so
one is named only when its z-score is beyond what the largest of all reaches in one case of twenty where nothing
differs: where the two models' responses are exchanged at random, prompt by prompt.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlaif.evaluate.policy.gains_and_losses import SIDES, Line, Measure, Side, paired_bootstrap, ratio_line
from rlaif.evaluate.policy.outputs import Responses
from rlaif.evaluate.text_metrics import VARIETY_WINDOW, tally_text
from rlaif.records import Prompt, Record
from rlaif.stats.estimates import ALPHA, Array, Tally
from rlaif.text.diversity import self_overlap, words

LONGEST = 3
PRIOR = 0.1
FEWEST = 3.0
"""Prompts (both models together, their shares summed) that must have a phrase for it to be compared."""
FEWEST_SHARE = 0.01
"""The same as a share of the prompts, where that is more."""
MOST = 20
"""Phrases that are named in either direction."""
ABOUT_AS = 0.8
ROUNDS = 400
"""Times that responses are exchanged at random."""
AT_ONCE = 4000
"""Phrases worked on together, so that memory stays bounded."""

REFUSED = Measure("refused", "manner", "responses that refuse, in whole or in part")
EMPTY = Measure("empty", "manner", "empty responses", "lower")
CUT = Measure("cut", "manner", "responses cut at the largest length")
WORDS = Measure("words", "manner", "words per response", unit="number")
HEDGES = Measure("hedges", "manner", "hedges per 100 words", unit="number")
BOILERPLATE = Measure("boilerplate", "manner", "stock phrases per 100 words", "lower", "number")
OVERLAP = Measure(
    "overlap", "variety", "overlap of the responses to one prompt (word pairs in common)", "lower", "number"
)
ONE_ANSWER = Measure("one-answer", "variety", "prompts with the same response every time", "lower")
VARIETY = Measure("variety", "variety", f"different words among {VARIETY_WINDOW} in a row", "higher", "number")


def style_lines(asked: Sequence[tuple[Prompt, Mapping[Side, Responses]]]) -> list[Line]:
    """Return the lines of both models' responses to the prompts."""
    found = paired_bootstrap([{side: tally_style(prompt, both[side]) for side in SIDES} for prompt, both in asked])
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
    """Return the counts of one model's responses to one prompt.

    Those of `text_metrics.tally_text`, and refused (in whole or in part), empty, cut; overlap (mean over all pairs of
    responses) of resampled (prompts with two responses to overlap), one (prompts whose responses are all the same) of
    prompts with several responses.
    """
    tally, texts = Tally(), responses.texts
    for text, cut in zip(texts, responses.cut, strict=True):
        tally.add(tally_text(prompt.messages[-1].content, text))
        tally["empty"] += not text.strip()
        tally["cut"] += cut
    tally["refused"] = tally["answers"] - tally["compliance"]
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
    """One phrase that is typical of one of the two models."""

    text: str
    base: float
    """Prompts whose base responses contain it; a prompt counts by the share of its responses."""
    tuned: float
    log_odds: float
    """Log-odds ratio, prior included; positive where it is typical of the tuned model."""
    z: float


class Phrases(Record):
    """The typical phrases of both models."""

    looked_at: int
    """Phrases compared."""
    threshold: float
    """|z| above which a phrase is named."""
    gained: tuple[Phrase, ...]
    """Typical of the tuned model, the most typical first."""
    lost: tuple[Phrase, ...]
    """Typical of the base."""


@dataclass(frozen=True)
class _Table:
    """How many prompts have phrases of one length; a prompt counts by the share of its responses."""

    texts: tuple[str, ...]
    """Those that are frequent enough."""
    base: Small
    """(prompts, phrases)"""
    tuned: Small
    base_total: Array
    """All phrases of this length, the rare ones too: (prompts,)."""
    tuned_total: Array


def typical_phrases(prompts: Iterable[Texts], seed: int = 0) -> Phrases:
    """Compare the phrases of both models' responses to the same prompts."""
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
    """Count the phrases of one length that are frequent enough."""
    counts: dict[str, float] = defaultdict(float)
    totals = {side: np.zeros(len(asked)) for side in SIDES}
    for place, side, phrase, share in _each(asked, length):
        counts[phrase] += share
        totals[side][place] += share
    fewest = max(FEWEST, len(asked) * FEWEST_SHARE)
    columns = {text: column for column, text in enumerate(sorted(t for t, n in counts.items() if n >= fewest))}
    found = {side: np.zeros((len(asked), len(columns)), dtype=np.float32) for side in SIDES}
    # Read a second time instead of kept: most phrases occur in one response only, and there are millions.
    for place, side, phrase, share in _each(asked, length):
        if phrase in columns:
            found[side][place, columns[phrase]] += share
    return _Table(tuple(columns), found["base"], found["tuned"], totals["base"], totals["tuned"])


def _each(asked: Sequence[Texts], length: int) -> Iterator[tuple[int, Side, str, float]]:
    """Yield (prompt, model, phrase, share of the prompt's responses) for every response and phrase in it."""
    for place, both in enumerate(asked):
        for side in SIDES:
            for text in both[side]:
                for phrase in _phrases(text, length):
                    yield place, side, phrase, 1 / len(both[side])


def _phrases(text: str, length: int) -> set[str]:
    """Return all phrases of so many words; none spans two sentences."""
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
    """Return log-odds ratios and z-scores of phrases: counts (…, phrases), totals (…) or (…, 1)."""
    prior, prior_total = PRIOR * (base + tuned), PRIOR * (base_total + tuned_total)
    above_base, above_tuned = base + prior, tuned + prior
    with np.errstate(divide="ignore", invalid="ignore"):
        odds_base = np.log(above_base / (base_total + prior_total - above_base))
        odds_tuned = np.log(above_tuned / (tuned_total + prior_total - above_tuned))
        log_odds = np.nan_to_num(odds_tuned - odds_base, posinf=0.0, neginf=0.0)
    return log_odds, log_odds / np.sqrt(1 / above_base + 1 / above_tuned)


def _largest_by_chance(tables: Sequence[_Table], prompts: int, seed: int) -> float:
    """Return the |z| that the largest of all phrases exceeds in one of twenty rounds of exchanged responses."""
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
    """Return the first of them; of a phrase and a longer one around it, about as typical, the longer one is kept."""
    kept: list[Phrase] = []
    for phrase in typical:
        longer = (one for one in typical if _holds(one, phrase) and abs(one.z) >= ABOUT_AS * abs(phrase.z))
        if not any(longer) and not any(_holds(phrase, one) or _holds(one, phrase) for one in kept):
            kept.append(phrase)
        if len(kept) == MOST:
            break
    return tuple(kept)


def _holds(longer: Phrase, phrase: Phrase) -> bool:
    return longer is not phrase and f" {phrase.text} " in f" {longer.text} "
