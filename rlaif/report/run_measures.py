"""Collect the numbers behind a run's plots in one pass over its traces, without keeping the texts.

The result has the numbers for the distributions, and for every prompt a tally, from which ratios with intervals are
computed. Keys of a tally:

    ("p longer", b), ("met", b)               sum of the longer response's p, and number of matchups, in length class b
    ("longer wins",), ("unequal",)            labels won by the longer response; labels of responses of unequal length
    ("p revision", *by), ("revised", *by)     sum of a revision's p against its ancestor, and number of such matchups;
                                              by: (), ("principle", k) drawn for its critique, ("tag", t) of its prompt
    ("more refusals",), ("pairs",)            chosen responses that refuse minus rejected ones that do; number of pairs
    ("more hedges",)                          the same for responses with a hedge or a stock phrase
    (one of these two, "prompts")             1 for a prompt where it is not zero
    ("text", kind, …)                         see `rlaif.evaluate.text_metrics`; kind is one of KINDS_OF_RESPONSES
    and the keys of `rlaif.preferences.contributions`
"""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from rlaif.evaluate.text_metrics import tally_text, under
from rlaif.preferences.contributions import tally_each_principle
from rlaif.preferences.judgement import Judgement
from rlaif.preferences.pairs import Conclusion
from rlaif.preferences.position import asked_both_ways
from rlaif.records import Trace
from rlaif.runs.reader import Run
from rlaif.stats.estimates import Tally

LENGTH_RATIOS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
"""Lower edges of the length classes: length of the longer response over that of the shorter one, in characters."""

KINDS_OF_RESPONSES = ("samples", "revisions", "rejected", "chosen")

Numbers = defaultdict[str, "array[float]"]


@dataclass(frozen=True)
class Note:
    """What is kept of a prompt to select the traces that are shown."""

    prompt_id: str
    outcome: str
    """`pair`, why there is none, or `failed`."""
    margin: float | None = None
    """Margin of its first pair, the one with the largest margin; None without a pair."""
    noise: float | None = None
    """Largest position bias, in logits, among its matchups that abstain because of order noise; None without any."""


@dataclass
class Measures:
    """Numbers of a whole run."""

    margins: Numbers = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """|p - 0.5| of every readable matchup, under `decided` or the reason of its abstention."""
    unreadable: int = 0
    favoured: Numbers = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """By principle: its probability for the response that all principles together favour."""
    biases: Numbers = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """By principle: its position bias in each matchup, in logits."""
    tallies: list[Tally] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def measure(run: Run) -> Measures:
    """Return the measures of a run, from all its traces and failures."""
    found = Measures()
    judging, rule = run.config.judging, run.rule
    for trace, conclusion in run.conclusions():
        tally: Tally = Tally()
        for judgement in conclusion.judgements:
            _note_margin(found, judgement)
            _note_favoured(found, judgement)
            tally.add(tally_each_principle(judgement, rule))
        for matchup in trace.matchups:
            for _, principle, ab, ba, mass in asked_both_ways(matchup):
                if mass >= judging.min_label_mass:
                    found.biases[principle].append((ab + ba) / 2)
        tally.add(_lengths(trace, conclusion))
        tally.add(_revisions(trace, conclusion))
        tally.add(_texts(trace, conclusion))
        found.tallies.append(tally)
        found.notes.append(_note(trace, conclusion, run))
    found.notes += [Note(failure.prompt_id, "failed") for failure in run.failures()]
    return found


def revision_judgements(trace: Trace, conclusion: Conclusion) -> Iterator[tuple[str, str, Judgement]]:
    """Yield (revision's id, ancestor's id, their judgement) for every revision that was compared with its ancestor."""
    judgements = {frozenset((j.a, j.b)): j for j in conclusion.judgements}
    for child, ancestor in trace.ancestors({r.id for r in trace.candidates()}).items():
        if (judgement := judgements.get(frozenset((child, ancestor)))) is not None:
            yield child, ancestor, judgement


def length_class(a: str, b: str) -> int:
    """Return the index in LENGTH_RATIOS of the class of two responses' length ratio."""
    short, long = sorted((len(a), len(b)))
    return bisect_right(LENGTH_RATIOS, long / max(1, short)) - 1


def _note_margin(found: Measures, judgement: Judgement) -> None:
    if judgement.p is None:
        found.unreadable += 1
    else:
        found.margins[judgement.abstention or "decided"].append(abs(judgement.p - 0.5))


def _note_favoured(found: Measures, judgement: Judgement) -> None:
    if judgement.logit is not None and judgement.abstention != "tie":
        for part in judgement.principles:
            found.favoured[part.principle].append(part.p if judgement.logit > 0 else 1 - part.p)


def _lengths(trace: Trace, conclusion: Conclusion) -> Tally:
    texts = {response.id: response.text for response in trace.responses}
    tally: Tally = Tally()
    for judgement in conclusion.judgements:
        a, b = texts[judgement.a], texts[judgement.b]
        if judgement.p is None or len(a) == len(b):
            continue
        p = judgement.p if len(a) > len(b) else 1 - judgement.p
        tally["p longer", length_class(a, b)] += p
        tally["met", length_class(a, b)] += 1
        if judgement.abstention is None:
            tally["unequal",] += 1
            tally["longer wins",] += p > 0.5
    return tally


def _revisions(trace: Trace, conclusion: Conclusion) -> Tally:
    tally: Tally = Tally()
    for child, ancestor, judgement in revision_judgements(trace, conclusion):
        if (p := judgement.p_of(child)) is None:
            continue
        by = {("principle", principle) for principle in _drawn(trace, child, ancestor)}
        for kind in [(), *by, *(("tag", tag) for tag in set(trace.prompt.tags))]:
            tally["p revision", *kind] += p
            tally["revised", *kind] += 1
    return tally


def _texts(trace: Trace, conclusion: Conclusion) -> Tally:
    question = trace.prompt.messages[-1].content
    counts = {response.id: tally_text(question, response.text) for response in trace.candidates()}
    tally: Tally = Tally()
    for response in trace.candidates():
        tally.add(under("samples" if response.parent is None else "revisions", counts[response.id]))
    for pair in conclusion.pairs:
        chosen, rejected = counts[pair.chosen], counts[pair.rejected]
        tally.add(under("chosen", chosen))
        tally.add(under("rejected", rejected))
        tally["pairs",] += 1
        tally["more refusals",] += chosen["refusal"] - rejected["refusal"]
        tally["more hedges",] += chosen["hedged"] - rejected["hedged"]
    for what in ("more refusals", "more hedges"):
        tally[what, "prompts"] = tally[what,] != 0
    return tally


def _drawn(trace: Trace, child: str, ancestor: str) -> set[str]:
    """Return the principles of all critiques between a response and its revision."""
    drawn: set[str] = set()
    while child != ancestor:
        parent = trace.response(child).parent
        assert parent is not None
        drawn.update(
            principle for critique in trace.critiques if critique.of == parent for principle in critique.principles
        )
        child = parent
    return drawn


def _note(trace: Trace, conclusion: Conclusion, run: Run) -> Note:
    constant = run.position_bias.overall or 0.0
    noisy = [j.position_bias for j in conclusion.judgements if j.abstention == "order noise" and j.position_bias]
    return Note(
        prompt_id=trace.prompt.id,
        outcome=conclusion.no_pair or "pair",
        margin=conclusion.pairs[0].margin if conclusion.pairs else None,
        noise=max((abs(bias - constant) for bias in noisy), default=None),
    )
