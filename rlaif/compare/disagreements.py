"""Find the matchups on which rule sets disagree most, and the principles that decided them."""

from collections.abc import Mapping, Sequence

from rlaif.compare.pool import Kind, PooledPrompt
from rlaif.compare.tallies import PassKey, judge_all
from rlaif.constitution.schema import Constitution
from rlaif.preferences.judgement import Judgement, Rule, decide
from rlaif.records import PROMPT_CHECK, Message, Record

SHOWN = 12


class RuleSetVerdict(Record):
    """The judgement of one rule set on a matchup, and the principle that contributed most to it."""

    rules: str
    p: float | None
    """Probability that `a` is the better response; None when nothing could be read."""
    abstention: str | None
    principle: str | None
    """The principle that moves the log-odds most towards the winner."""
    sentence: str | None
    """That principle's question, or a description of its check."""
    principle_p: float | None
    """Probability that `a` is better under that principle alone."""


class Disagreement(Record):
    """A matchup that rule sets label differently, the strongest of its prompt."""

    prompt_id: str
    messages: tuple[Message, ...]
    kind: Kind
    a: str
    a_text: str
    b: str
    b_text: str
    flips: bool
    """Whether two rule sets give it different labels."""
    spread: float
    """Largest minus smallest probability that `a` is better, over the rule sets."""
    voices: list[RuleSetVerdict]


def strongest_disagreements(
    prompts: Sequence[PooledPrompt],
    rules: Mapping[PassKey, Rule],
    constitutions: Mapping[str, Constitution],
    shown: int = SHOWN,
) -> list[Disagreement]:
    """Return the strongest disagreement of every prompt that has one, the strongest first.

    Two rule sets disagree where they give different labels; a difference without a flip does not count.
    """
    found = [one for prompt in prompts if (one := _strongest(prompt, rules, constitutions)) is not None]
    return sorted(found, key=lambda one: (-one.spread, one.prompt_id))[:shown]


def _strongest(
    pool: PooledPrompt, rules: Mapping[PassKey, Rule], constitutions: Mapping[str, Constitution]
) -> Disagreement | None:
    judged = {name: found for (name, again), found in judge_all(pool, rules).items() if not again}
    if len(judged) < 2:
        return None
    strengths = [strength([found[place] for found in judged.values()]) for place in range(len(pool.matchups))]
    strongest = max(range(len(strengths)), key=strengths.__getitem__, default=None)
    if strongest is None or not strengths[strongest][0]:
        return None
    matchup = pool.matchups[strongest]
    return Disagreement(
        prompt_id=pool.prompt.id,
        messages=pool.prompt.messages,
        kind=matchup.kind,
        a=matchup.a,
        a_text=pool.candidate(matchup.a).text,
        b=matchup.b,
        b_text=pool.candidate(matchup.b).text,
        flips=strengths[strongest][0],
        spread=strengths[strongest][1],
        voices=[
            _verdict_of(name, found[strongest], rules[name, False], constitutions[name])
            for name, found in judged.items()
        ],
    )


def strength(judgements: Sequence[Judgement]) -> tuple[bool, float]:
    """Return (whether labels differ, largest minus smallest p) of one matchup; a larger tuple disagrees more."""
    ps = [p for judgement in judgements if (p := judgement.p) is not None]
    labels = {judgement.p > 0.5 for judgement in judgements if judgement.abstention is None and judgement.p is not None}
    return len(labels) > 1, max(ps) - min(ps) if len(ps) > 1 else 0.0


def _verdict_of(name: str, judgement: Judgement, rule: Rule, constitution: Constitution) -> RuleSetVerdict:
    decided = _deciding(judgement, rule)
    part = next((p for p in judgement.principles if p.principle == decided), None)
    text = None
    if decided:
        of_prompt = decided.startswith(PROMPT_CHECK)
        text = "a check that belongs to the prompt" if of_prompt else constitution.principle(decided).decides_by
    return RuleSetVerdict(
        rules=name,
        p=judgement.p,
        abstention=judgement.abstention,
        principle=decided,
        sentence=text,
        principle_p=part.p if part else None,
    )


def _deciding(judgement: Judgement, rule: Rule) -> str | None:
    """Return the principle without which the log-odds would move furthest from the winner; None if unreadable."""
    if judgement.logit is None:
        return None
    side = 1 if judgement.logit > 0 else -1

    def effect(principle: str) -> float:
        rest = decide([p for p in judgement.principles if p.principle != principle], rule).logit or 0.0
        return side * ((judgement.logit or 0.0) - rest)

    return max((part.principle for part in judgement.principles), key=effect, default=None)
