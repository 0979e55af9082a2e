"""The common pool: which answers of a prompt all rule sets compare, and what each said.

Comes in: one prompt's trace under every rule set. Goes out: the answers, and the matchups of three kinds:

    samples    two samples of the policy                    how alike do the rule sets judge what nobody revised?
    parent     a revision and the sample it goes back to    does revising help, under one's own and under foreign rules?
    rivals     two rule sets' revisions of the same sample  whose revisions win under whose rules?

Two answers with the same text are not compared; they are counted.
"""

import random
from collections.abc import Mapping
from itertools import combinations
from typing import Literal

from rlaif.preferences.matchups import design
from rlaif.records import Matchup, Prompt, Record, Response, Trace, Usage
from rlaif.seeds import derive_seed

Kind = Literal["samples", "parent", "rivals"]


class Candidate(Record):
    """One answer in the pool."""

    id: str
    """`s0` for a sample all rule sets share, `RULES/s0` for one of a single run, `RULES/s0.r1` for a revision."""
    text: str
    by: str | None = None
    """The rule set whose revision it is; None for a sample."""
    parent: str | None = None
    """The sample a revision goes back to."""
    principles: tuple[str, ...] = ()
    """Principles drawn for the critique behind a revision."""
    critique: str = ""


class PoolMatchup(Record):
    """Two answers of the pool; which one is `a` is drawn."""

    a: str
    b: str
    kind: Kind


class JudgingPass(Record):
    """What one rule set said about all matchups of a prompt, once."""

    rules: str
    again: bool = False
    """The second time, with another seed and in other words: the noise floor."""
    judged_by: tuple[str, ...]
    checked_by: tuple[str, ...] = ()
    """Principles, and the prompt's own checks, that a program decided."""
    matchups: tuple[Matchup, ...]
    """In the order of the pool's matchups; empty when no principle of the rule set applies."""
    usage: Usage = Usage()


class PooledPrompt(Record):
    """A prompt, its pool, and what every rule set said."""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    matchups: tuple[PoolMatchup, ...]
    identical: int
    """Matchups left out because both answers are the same text."""
    sittings: tuple[JudgingPass, ...] = ()

    def candidate(self, candidate_id: str) -> Candidate:
        """Return one answer by its id."""
        return next(c for c in self.candidates if c.id == candidate_id)

    def judging_pass(self, rules: str, *, again: bool = False) -> JudgingPass | None:
        """Return what a rule set said, or None when it was not asked (again)."""
        return next((s for s in self.sittings if s.rules == rules and s.again == again), None)


def build_pool(traces: Mapping[str, Trace], seed: int) -> PooledPrompt:
    """Return the pool of one prompt from its traces under every rule set; nothing is judged yet."""
    prompt = next(iter(traces.values())).prompt
    samples = _samples(traces)
    revisions = _revisions(traces, samples)
    wanted = [
        *_among_samples(samples, derive_seed(seed, prompt.id, "pool samples")),
        *((revision.id, revision.parent or "", "parent") for revision in revisions),
        *_rivals(revisions, samples),
    ]
    candidates = {candidate.id: candidate for candidate in (*samples.values(), *revisions)}
    differing = [(a, b, kind) for a, b, kind in wanted if candidates[a].text != candidates[b].text]
    rng = random.Random(derive_seed(seed, prompt.id, "pool"))
    turned = [(b, a, kind) if rng.random() < 0.5 else (a, b, kind) for a, b, kind in differing]
    return PooledPrompt(
        prompt=prompt,
        candidates=tuple(candidates.values()),
        matchups=tuple(PoolMatchup(a=a, b=b, kind=kind) for a, b, kind in turned),
        identical=len(wanted) - len(differing),
    )


def _samples(traces: Mapping[str, Trace]) -> dict[tuple[str, str], Candidate]:
    """Return the samples under (rule set, id in its run); one that all runs share is one candidate."""
    found: dict[tuple[str, str], Candidate] = {}
    for rules, trace in traces.items():
        for response in trace.responses:
            if response.origin == "sample" and response.text:
                shared = all(_text(other, response.id) == response.text for other in traces.values())
                name = response.id if shared else f"{rules}/{response.id}"
                found[rules, response.id] = Candidate(id=name, text=response.text)
    return found


def _revisions(traces: Mapping[str, Trace], samples: Mapping[tuple[str, str], Candidate]) -> list[Candidate]:
    """Return the last usable revision of every sample under every rule set."""
    found = []
    for rules, trace in traces.items():
        last: dict[str, Response] = {}
        for response in trace.responses:
            if response.origin == "revision" and response.text and response.copied is None:
                last[response.id.partition(".")[0]] = response
        for sample, response in last.items():
            if (rules, sample) in samples:
                critique = next((c for c in trace.critiques if c.of == response.parent), None)
                found.append(
                    Candidate(
                        id=f"{rules}/{response.id}",
                        text=response.text,
                        by=rules,
                        parent=samples[rules, sample].id,
                        principles=critique.principles if critique else (),
                        critique=critique.text if critique else "",
                    )
                )
    return found


def _text(trace: Trace, response_id: str) -> str | None:
    return next((response.text for response in trace.responses if response.id == response_id), None)


def _among_samples(samples: Mapping[tuple[str, str], Candidate], seed: int) -> list[tuple[str, str, Kind]]:
    shared = list(dict.fromkeys(sample.id for sample in samples.values()))
    return [(a, b, "samples") for a, b in design(shared, {}, seed)]


def _rivals(revisions: list[Candidate], samples: Mapping[tuple[str, str], Candidate]) -> list[tuple[str, str, Kind]]:
    """Pair the revisions that different rule sets made of the same sample, or of samples with the same number."""
    numbers = {candidate.id: number for (_, number), candidate in samples.items()}
    return [
        (one.id, other.id, "rivals")
        for one, other in combinations(revisions, 2)
        if one.by != other.by and numbers[one.parent or ""] == numbers[other.parent or ""]
    ]
