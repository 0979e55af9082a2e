"""Which phrases became typical of the tuned model, and which went.

Log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin' Words", equations 16, 19
and 22) on sequences of one to three words. Counted is, for every prompt, the share of its answers that hold the phrase,
so that a prompt counts once however often a phrase is repeated in its answers. The prior of a phrase is a tenth of its
count in both models together. Thousands of phrases are looked at, so one is named only when its z-score is beyond what
the largest of all reaches in one case of twenty where nothing differs: where the two models' answers to a prompt change
places at random, prompt by prompt.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlaif.evaluate.policy.lines import SIDES, Side
from rlaif.records import Record
from rlaif.stats.estimates import ALPHA, Array
from rlaif.text import words

LONGEST = 3
PRIOR = 0.1
FEWEST = 3.0
"""Prompts (both models together, their shares summed) in which a phrase must stand to be looked at."""
FEWEST_SHARE = 0.01
"""The same as a share of the prompts, where that is more."""
MOST = 20
"""Phrases that are named in either direction."""

ABOUT_AS = 0.8
ROUNDS = 400
"""Times that answers change places at random."""
AT_ONCE = 4000
"""Phrases worked on together, so that memory stays bounded."""

Small = npt.NDArray[np.float32]
_SENTENCE = re.compile(r"[.!?:;\n]+")

Answers = Mapping[Side, Sequence[str]]
"""Both models' answers to one prompt."""


class Phrase(Record):
    """One phrase that is typical of one of the two models."""

    text: str
    base: float
    """Prompts in which the base says it; a prompt counts by the share of its answers."""
    tuned: float
    log_odds: float
    """Log-odds ratio, prior included; positive where it is typical of the tuned model."""
    z: float


class Phrases(Record):
    """What was found."""

    looked_at: int
    """Phrases compared."""
    threshold: float
    """|z| from which on a phrase is named."""
    gained: tuple[Phrase, ...]
    """Typical of the tuned model, the most typical first."""
    lost: tuple[Phrase, ...]
    """Typical of the base."""


@dataclass(frozen=True)
class _Table:
    """In how many prompts phrases of one length are said; a prompt counts by the share of its answers."""

    texts: tuple[str, ...]
    """Those that are frequent enough."""
    base: Small
    """(prompts, phrases)"""
    tuned: Small
    base_said: Array
    """All phrases of this length, the rare ones too: (prompts,)."""
    tuned_said: Array


def phrases(prompts: Iterable[Answers], seed: int = 0) -> Phrases:
    """Compare the phrases of both models' answers to the same prompts."""
    asked = list(prompts)
    tables = [_table(asked, length) for length in range(1, LONGEST + 1)]
    scored = [one for table in tables for one in _scored(table)]
    threshold = _largest_by_chance(tables, len(asked), seed)
    typical = sorted((one for one in scored if abs(one.z) > threshold), key=lambda one: (-abs(one.z), one.text))
    return Phrases(
        looked_at=len(scored),
        threshold=threshold,
        gained=_apart([one for one in typical if one.z > 0]),
        lost=_apart([one for one in typical if one.z < 0]),
    )


def _table(asked: Sequence[Answers], length: int) -> _Table:
    """Count the phrases of one length that are frequent enough."""
    everything: dict[str, float] = defaultdict(float)
    said = {side: np.zeros(len(asked)) for side in SIDES}
    for place, side, phrase, share in _each(asked, length):
        everything[phrase] += share
        said[side][place] += share
    fewest = max(FEWEST, len(asked) * FEWEST_SHARE)
    columns = {text: column for column, text in enumerate(sorted(t for t, n in everything.items() if n >= fewest))}
    found = {side: np.zeros((len(asked), len(columns)), dtype=np.float32) for side in SIDES}
    # Read a second time instead of kept: most phrases stand in one answer only, and there are millions.
    for place, side, phrase, share in _each(asked, length):
        if phrase in columns:
            found[side][place, columns[phrase]] += share
    return _Table(tuple(columns), found["base"], found["tuned"], said["base"], said["tuned"])


def _each(asked: Sequence[Answers], length: int) -> Iterator[tuple[int, Side, str, float]]:
    """Yield (prompt, model, phrase, share of the prompt's answers) for every answer and phrase in it."""
    for place, both in enumerate(asked):
        for side in SIDES:
            for text in both[side]:
                for phrase in _phrases(text, length):
                    yield place, side, phrase, 1 / len(both[side])


def _phrases(text: str, length: int) -> set[str]:
    """Return all phrases of so many words; none spans two sentences."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(text):
        said = words(sentence)
        found.update(" ".join(phrase) for phrase in zip(*(said[start:] for start in range(length)), strict=False))
    return found


def _scored(table: _Table) -> Iterator[Phrase]:
    """Yield every phrase with its z-score."""
    base, tuned = table.base.sum(axis=0, dtype=float), table.tuned.sum(axis=0, dtype=float)
    log_odds, z = _z_scores(base, tuned, table.base_said.sum(), table.tuned_said.sum())
    for place, text in enumerate(table.texts):
        yield Phrase(
            text=text,
            base=float(base[place]),
            tuned=float(tuned[place]),
            log_odds=float(log_odds[place]),
            z=float(z[place]),
        )


def _z_scores(base: Array, tuned: Array, base_said: Array, tuned_said: Array) -> tuple[Array, Array]:
    """Return log-odds ratios and z-scores of phrases: counts (…, phrases), totals (…) or (…, 1)."""
    prior, everything = PRIOR * (base + tuned), PRIOR * (base_said + tuned_said)
    above_base, above_tuned = base + prior, tuned + prior
    with np.errstate(divide="ignore", invalid="ignore"):
        odds_base = np.log(above_base / (base_said + everything - above_base))
        odds_tuned = np.log(above_tuned / (tuned_said + everything - above_tuned))
        log_odds = np.nan_to_num(odds_tuned - odds_base, posinf=0.0, neginf=0.0)
    return log_odds, log_odds / np.sqrt(1 / above_base + 1 / above_tuned)


def _largest_by_chance(tables: Sequence[_Table], prompts: int, seed: int) -> float:
    """Return the |z| that the largest of all phrases exceeds in one of twenty rounds of changed places."""
    rng = np.random.default_rng(seed)
    changed = rng.integers(0, 2, size=(ROUNDS, prompts)).astype(np.float32)
    largest = np.zeros(ROUNDS)
    for table in tables:
        said = table.tuned_said - table.base_said
        base_said = (table.base_said.sum() + changed @ said)[:, None]
        tuned_said = (table.tuned_said.sum() - changed @ said)[:, None]
        for start in range(0, len(table.texts), AT_ONCE):
            base, tuned = (one[:, start : start + AT_ONCE] for one in (table.base, table.tuned))
            moved = changed @ (tuned - base)
            _, z = _z_scores(base.sum(axis=0) + moved, tuned.sum(axis=0) - moved, base_said, tuned_said)
            largest = np.maximum(largest, np.abs(z).max(axis=1))
    return float(np.quantile(largest, 1 - ALPHA))


def _apart(typical: Sequence[Phrase]) -> tuple[Phrase, ...]:
    """Return the first of them; of a phrase and one that holds it, about as typical, the longer is the one to read."""
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
