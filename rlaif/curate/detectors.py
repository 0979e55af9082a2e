"""Detectors of rows that one may not want to train on, by name: patterns in the texts, and columns of the dataset.

Each is a rule of `rlaif/text` or a column that the export has; the rules are for English except `language`, `alike` and
`echo`, and they find typical forms, not all. The chosen response is examined, because it is the one that is learned.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from rlaif.curate.duplicates import jaccard, shingles
from rlaif.curate.source import Source, SourcePair
from rlaif.errors import UsageError
from rlaif.text.diversity import words
from rlaif.text.hedging import hedges
from rlaif.text.language import NO_LANGUAGE, language_of
from rlaif.text.refusal import refusal_signs
from rlaif.text.shortcuts import feature

HEDGES = 2
"""Epistemic hedges that `hedging` asks for at least, besides its rate."""
HEDGE_RATE = 3.0
"""Epistemic hedges per 100 words."""
ALIKE = 0.9
"""Jaccard similarity of both responses' shingles."""
ECHO = 0.5
"""Share of the chosen response's word pairs that are in the prompt."""
LEAST_WORDS = 10
"""Words below which languages and echoes are not judged."""
READ = 600
"""Characters of a text whose language is classified."""


class Detector(NamedTuple):
    """A reason for which a row may be dropped."""

    what: str
    find: Callable[[SourcePair], str | None]
    """Returns what was found, as a detail; None for a row to keep."""
    column: str | None = None
    """Column without which it cannot decide."""


def _refusal(pair: SourcePair) -> str | None:
    return ", ".join(sorted(refusal_signs(pair.prompt[-1].content, pair.chosen))) or None


def _hedging(pair: SourcePair) -> str | None:
    found = hedges(pair.chosen)
    count = sum(span.kind == "epistemic" for span in found.spans)
    return f"{count} hedges" if count >= HEDGES and found.epistemic_rate >= HEDGE_RATE else None


def _boilerplate(pair: SourcePair) -> str | None:
    spans = [span for span in hedges(pair.chosen).spans if span.kind == "boilerplate"]
    return pair.chosen[spans[0].start : spans[0].end] if spans else None


def _language(pair: SourcePair) -> str | None:
    texts = (pair.prompt[-1].content, pair.chosen)
    if min(len(words(text)) for text in texts) < LEAST_WORDS:
        return None
    asked, answered = (language_of(text[:READ]) for text in texts)
    return f"{asked} -> {answered}" if asked != answered and not {asked, answered} & NO_LANGUAGE else None


def _echo(pair: SourcePair) -> str | None:
    mine = words(pair.chosen)
    if len(mine) < LEAST_WORDS:
        return "the prompt" if mine and mine == words(pair.prompt[-1].content) else None
    asked, found = set(pairwise(words(pair.asked))), list(pairwise(mine))
    share = sum(one in asked for one in found) / len(found)
    return f"{share:.0%} of its word pairs" if share >= ECHO else None


def _alike(pair: SourcePair) -> str | None:
    similarity = jaccard(shingles(pair.chosen), shingles(pair.rejected))
    return f"similarity {similarity:.2f}" if similarity >= ALIKE else None


def _flattery(pair: SourcePair) -> str | None:
    return pair.chosen[:60] if feature("flattery", pair.chosen) else None


def _authority(pair: SourcePair) -> str | None:
    return "claims authority" if feature("authority", pair.chosen) else None


def _answer(pair: SourcePair) -> str | None:
    return pair.chosen.rstrip()[-40:] if feature("answer", pair.chosen) else None


def _objecting(pair: SourcePair) -> str | None:
    return ", ".join(map(str, pair.columns.get("objecting") or ())) or None


def _orders(pair: SourcePair) -> str | None:
    agreement = pair.columns.get("order_agreement")
    return f"order_agreement {agreement:.2f}" if agreement is not None and agreement < 1 else None


def _uncertified(pair: SourcePair) -> str | None:
    return None if pair.columns.get("certified") else "not certified"


DETECTORS: Mapping[str, Detector] = {
    "refusal": Detector("chosen refuses the request", _refusal),
    "hedging": Detector(f"chosen has {HEDGES} hedges and {HEDGE_RATE:g} per 100 words, or more", _hedging),
    "boilerplate": Detector("chosen has a phrase such as `as an AI language model`", _boilerplate),
    "truncated": Detector("chosen was cut at the token limit (runs only)", lambda _: None),
    "language": Detector("chosen is in another language than the last turn of the prompt", _language),
    "echo": Detector(f"at least {ECHO:.0%} of the word pairs of chosen are in the prompt", _echo),
    "alike": Detector(f"chosen and rejected have a similarity of at least {ALIKE:g}", _alike),
    "flattery": Detector("chosen opens with praise of the user", _flattery),
    "authority": Detector("chosen claims authority", _authority),
    "answer": Detector("chosen ends in a label such as `Answer: A`", _answer),
    "objecting": Detector("some principle alone would choose the other response", _objecting, "objecting"),
    "orders": Detector("some principle's two orders disagree", _orders, "order_agreement"),
    "uncertified": Detector("the certificate does not keep the pair", _uncertified, "certified"),
}


def chosen_detectors(names: Sequence[str], source: Source) -> dict[str, Detector]:
    """Return the detectors of these names for a source. Raises UsageError for an unknown name."""
    unknown = [name for name in names if name not in DETECTORS]
    if unknown:
        raise UsageError(f"--drop {unknown[0]}: no such detector; choose from {', '.join(DETECTORS)}")
    found = {name: DETECTORS[name] for name in names}
    if "truncated" in found:
        cut = source.truncated
        if cut is None:
            raise UsageError(
                "--drop truncated: a dataset does not record which responses were cut; give the run instead"
            )

        def truncated(pair: SourcePair) -> str | None:
            return "token limit" if (pair.id, pair.columns.get("chosen_id")) in cut else None

        found["truncated"] = found["truncated"]._replace(find=truncated)
    return found
