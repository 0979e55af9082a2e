"""Which prompts a page shows: all, or of a large run a sample that holds some of every outcome; and which it prints."""

from collections import defaultdict
from collections.abc import Sequence

from rlaif.report.measures import Note
from rlaif.seeds import derive_seed

LEAST_OF_EACH = 20
"""So many prompts of every outcome are shown in a sample, or all there are."""


def sample(notes: Sequence[Note], size: int, seed: int) -> set[str]:
    """Return the ids of `size` prompts: some of every outcome, the rest by lot; the same for the same run.

    Which are drawn depends on each prompt's id and the seed alone.
    """
    drawn = sorted(notes, key=lambda note: (derive_seed(seed, note.prompt_id, "report"), note.prompt_id))
    if len(drawn) <= size:
        return {note.prompt_id for note in drawn}
    by_outcome: dict[str, list[str]] = defaultdict(list)
    for note in drawn:
        by_outcome[note.outcome].append(note.prompt_id)
    least = min(LEAST_OF_EACH, size // len(by_outcome))
    chosen = [prompt_id for ids in by_outcome.values() for prompt_id in ids[:least]]
    rest = [note.prompt_id for note in drawn if note.prompt_id not in set(chosen)]
    return {*chosen, *rest[: size - len(chosen)]}


def telling(notes: Sequence[Note], of_each: int = 2) -> dict[str, str]:
    """Return the prompts most worth reading and why: the surest pairs, the closest, the worst order noise."""
    paired = sorted((note for note in notes if note.margin is not None), key=lambda note: note.margin or 0)
    noisy = sorted((note for note in notes if note.noise is not None), key=lambda note: -(note.noise or 0))
    found: dict[str, str] = {}
    for why, some in (
        ("one of the surest pairs", paired[::-1]),
        ("one of the closest pairs", paired),
        ("its orders contradict one another most", noisy),
    ):
        fresh = [note.prompt_id for note in some if note.prompt_id not in found]
        found |= dict.fromkeys(fresh[:of_each], why)
    return found
