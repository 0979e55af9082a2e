"""Principles that say what another one says (C101), or its opposite (C109).

Two questions count as the same when they share nearly all their meaning words, endings aside. Paraphrases in other
words are not found here; a finished run finds them (C302, C303).
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

from rlaif.constitution.schema import Principle
from rlaif.lint.subject import Hit, Subject, words_of
from rlaif.lint.vocabulary import content, stems, tokens

SAME_QUESTION = 0.8
SAME_TEXT = 0.85
"""Shares of the words that two texts have in common, of all their words (Jaccard's index)."""

FEWEST_WORDS = 4
"""With fewer words in either question, only the very same words count."""

_MORE = {"more", "most", "better", "best", "longer", "longest", "higher", "greater"}
_LESS = {"less", "least", "fewer", "fewest", "worse", "worst", "shorter", "shortest", "lower", "smaller"}


def near_duplicates(subject: Subject) -> Iterator[Hit]:
    """C101."""
    for earlier, later in _pairs(subject):
        if (share := _likeness(earlier, later)) and not _opposite(earlier, later):
            yield Hit(f'near-duplicate of "{earlier.id}": {share}', later.id, "compare")


def opposites(subject: Subject) -> Iterator[Hit]:
    """C109."""
    for earlier, later in _pairs(subject):
        if _same_question(earlier, later) and _opposite(earlier, later):
            yield Hit(f'asks the opposite of "{earlier.id}", so that the two cancel out', later.id, "compare")


def _pairs(subject: Subject) -> Iterator[tuple[Principle, Principle]]:
    """Yield the pairs that this file brings together; the second is the one to complain of."""
    for earlier, later in combinations(subject.english, 2):
        own = [principle.id in subject.own for principle in (earlier, later)]
        if any(own) or subject.sources[earlier.id] != subject.sources[later.id]:
            yield (later, earlier) if own == [True, False] else (earlier, later)


def _likeness(one: Principle, other: Principle) -> str | None:
    if share := _same_question(one, other):
        return "the same question" if share == 1 else f"{share:.0%} of the words of the two questions are the same"
    texts = [_meaning(" ".join(words_of(principle))) for principle in (one, other)]
    share = _jaccard(*texts)
    return f"{share:.0%} of all their words are the same" if share >= SAME_TEXT else None


def _same_question(one: Principle, other: Principle) -> float:
    """Return the share of words in common where it is enough to be the same question, else 0."""
    if one.compare is None or other.compare is None or one.critique_only or other.critique_only:
        return 0.0
    questions = [_meaning(principle.compare or "") for principle in (one, other)]
    share = _jaccard(*questions)
    enough = SAME_QUESTION if min(map(len, questions)) >= FEWEST_WORDS else 1.0
    return share if share >= enough else 0.0


@lru_cache(maxsize=10_000)
def _meaning(text: str) -> frozenset[str]:
    """Return a text's meaning words, endings aside; kept, for every text meets every other one."""
    return stems(content(text))


def _opposite(one: Principle, other: Principle) -> bool:
    first, second = (set(tokens(principle.compare or "")) for principle in (one, other))
    return bool(first & _MORE and second & _LESS and not first & _LESS and not second & _MORE) or bool(
        first & _LESS and second & _MORE and not first & _MORE and not second & _LESS
    )


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0
