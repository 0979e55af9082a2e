"""How often an evaluation of two equal models names a gain or loss, and whether the win rate at equal length is right.

The rows of an evaluation are planted: what a model does with a prompt depends on the prompt and on chance, not on which
of the two it is. Everything from the tallies on is the program's. No model and no server.

python benchmarks/policy_intervals.py [--rounds 1000] [--prompts 100] [--responses 2] [--constitutions 2]
"""

import argparse
import math
import random
from collections.abc import Callable, Sequence

from rlaif.constitution.load import load_constitution
from rlaif.evaluate.policy.gains_and_losses import (
    SIDES,
    Line,
    Measure,
    Side,
    decided,
    excludes_zero,
    paired_tallies,
    ratio_line,
)
from rlaif.evaluate.policy.knowledge_and_drift import (
    choice_lines,
    divergence_lines,
    perplexity_lines,
    tallies_of_choices,
)
from rlaif.evaluate.policy.outputs import ChoiceLogprobs, TextLogprobs
from rlaif.evaluate.policy.refusals_and_sycophancy import FLATTERY, HARMFUL, OVER_REFUSAL, RIGHT_PLAIN, TAKES_OVER
from rlaif.evaluate.policy.response_style import (
    BOILERPLATE,
    CUT,
    EMPTY,
    HEDGES,
    ONE_ANSWER,
    OVERLAP,
    REFUSED,
    VARIETY,
    WORDS,
)
from rlaif.evaluate.policy.win_rates import (
    JudgedPair,
    Outcome,
    ResponsePair,
    WinRates,
    win_lines,
    win_metrics,
    win_rate_at_equal_length,
)
from rlaif.models.model import LabelLogprobs
from rlaif.preferences.position import PositionBias
from rlaif.records import Message, Prompt
from rlaif.stats.estimates import Tally
from rlaif.stats.log_odds import sigmoid

HARMLESS, HARMFUL_REQUESTS, CLAIMS, QUESTIONS, TEXTS = 42, 26, 34, 62, 10
"""Numbers of probes, as shipped."""
PAIRS, ADVANTAGE, WORTH = 100, 0.3, 2.0
"""Log-odds of the tuned response at equal length, and logits per unit of log length ratio."""
Rng = random.Random
Rows = Sequence[dict[Side, Tally]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    for name, usual in (("rounds", 1000), ("prompts", 100), ("responses", 2), ("constitutions", 2)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    found = [evaluation(Rng(seed), given.prompts, given.responses, given.constitutions) for seed in range(given.rounds)]
    own, together = ([any(shown(line) for line in lines) for lines in found] for shown in (excludes_zero, is_shown))
    print(f"two equal models, {len(found[0])} lines, {given.prompts} prompts, {given.rounds} evaluations with")
    print(f"- an interval of a line that excludes zero: {share(own)}")
    print(f"- a gain, loss or change: {share(together)}")
    for line in range(len(found[0])):
        excluded = sum(excludes_zero(lines[line]) for lines in found) / given.rounds
        print(f"    {excluded:6.1%}  {sum(is_shown(lines[line]) for lines in found):3d}  {found[0][line].name}")
    held = [at_equal_length(Rng(seed)).holds(sigmoid(ADVANTAGE)) for seed in range(given.rounds)]
    print(f"win rate at equal length, {PAIRS} pairs: its interval holds the truth in {share(held)}")


def is_shown(line: Line) -> bool:
    return line.finding in {"gain", "loss", "change"}


def share(events: Sequence[bool]) -> str:
    return f"{sum(events) / len(events):.1%} ({sum(events)} of {len(events)})"


def evaluation(rng: Rng, prompts: int, responses: int, constitutions: int) -> tuple[Line, ...]:
    """Return the lines of two equal models."""
    return decided(
        [
            *(line for _ in range(constitutions) for line in wins(rng, prompts)),
            events(rng, OVER_REFUSAL, HARMLESS, responses, (0.5, 2)),
            events(rng, HARMFUL, HARMFUL_REQUESTS, responses, (0.3, 3)),
            *claims(rng, responses),
            *style(rng, prompts, responses),
            *choice_lines(tallies_of_choices([both(lambda asked=one: choice(rng, asked)) for one in placed(rng)])),
            *texts(rng, prompts),
        ]
    )


def both(one: Callable[[], object]) -> dict:  # type: ignore[type-arg]
    return {side: one() for side in SIDES}


def wins(rng: Rng, prompts: int) -> list[Line]:
    """Return the lines of one constitution: the longer response wins more often, and one model is not longer."""
    judged = []
    for place in range(prompts):
        lengths = [round(300 * math.exp(rng.gauss(0, 0.4))) + 1 for _ in SIDES]
        pair = ResponsePair(prompt(place), base="x" * lengths[0], tuned="y" * lengths[1])
        logit = rng.gauss(0.8 * pair.length_ratio, 1.5)
        outcome: Outcome = "order noise" if rng.random() < 0.2 else "tuned" if logit > 0 else "base"
        judged.append(JudgedPair(pair, outcome, logit))
    return win_lines(win_metrics(WinRates(MINIMAL, tuple(judged), PositionBias.measure([]), None)))


MINIMAL = load_constitution("minimal")


def prompt(place: int) -> Prompt:
    return Prompt(id=str(place), messages=(Message(role="user", content="x"),))


def events(rng: Rng, measure: Measure, prompts: int, responses: int, beta: tuple[float, float]) -> Line:
    """Return the line of something that happens in some prompts more often than in others."""
    rows: Rows = [
        {side: Tally({"x": sum(rng.random() < often for _ in range(responses)), "n": responses}) for side in SIDES}
        for often in (rng.betavariate(*beta) for _ in range(prompts))
    ]
    return ratio_line(paired_tallies(rows), measure, "x", "n")


def claims(rng: Rng, responses: int) -> list[Line]:
    rows = []
    for _ in range(CLAIMS):
        agrees, right = rng.betavariate(1, 2), rng.betavariate(3, 1)
        rows.append(both(lambda agrees=agrees, right=right: claim(rng, responses, agrees, right)))
    found = paired_tallies(rows)
    keys = ((TAKES_OVER, "agreed", "n"), (FLATTERY, "more", "n"), (RIGHT_PLAIN, "right", "n"))
    return [ratio_line(found, *one) for one in keys]


def claim(rng: Rng, responses: int, agrees: float, right: float) -> Tally:
    agreed, wrong, correct = (
        sum(rng.random() < often for _ in range(responses)) for often in (agrees, (1 - right) / 2, right)
    )
    return Tally({"agreed": agreed, "more": agreed - wrong, "right": correct, "n": responses})


def style(rng: Rng, prompts: int, responses: int) -> list[Line]:
    rows = []
    for _ in range(prompts):
        of_prompt = rng.gauss(0, 1), rng.betavariate(0.3, 3), rng.betavariate(0.4, 2)
        rows.append(both(lambda of_prompt=of_prompt: manner(rng, responses, *of_prompt)))
    found = paired_tallies(rows)
    keys = {
        REFUSED: ("refused", "n"),
        EMPTY: ("empty", "n"),
        CUT: ("cut", "n"),
        WORDS: ("words", "n"),
        HEDGES: ("hedges", "hundreds"),
        BOILERPLATE: ("boilerplate", "hundreds"),
        OVERLAP: ("overlap", "prompts"),
        ONE_ANSWER: ("one", "prompts"),
        VARIETY: ("variety", "n"),
    }
    return [ratio_line(found, measure, *names) for measure, names in keys.items()]


def manner(rng: Rng, responses: int, topic: float, refused: float, cut: float) -> Tally:
    tally = Tally({"prompts": 1, "one": rng.random() < 0.03, "overlap": rng.betavariate(3, 7)})
    for _ in range(responses):
        words = math.exp(5 + 0.4 * topic + 0.4 * rng.gauss(0, 1))
        tally.add({"n": 1, "words": words, "hundreds": words / 100, "empty": rng.random() < 0.01})
        tally.add({"refused": rng.random() < refused, "cut": rng.random() < cut})
        tally.add({"hedges": max(0, round(topic + rng.gauss(0, 1))), "boilerplate": rng.random() < 0.1})
        tally["variety"] += 0.8 + 0.05 * topic + 0.05 * rng.gauss(0, 1)
    return tally


def placed(rng: Rng) -> list[tuple[int, float]]:
    """Return, of each question, the right letter and how easy it is."""
    return [(rng.randrange(4), rng.gauss(1, 1.5)) for _ in range(QUESTIONS)]


def choice(rng: Rng, question: tuple[int, float]) -> ChoiceLogprobs:
    place, easy = question
    logits = [rng.gauss(0, 0.7) + easy * (letter == place) for letter in range(4)]
    total, mass = sum(map(math.exp, logits)), rng.betavariate(9, 1)
    logprobs = tuple(math.log(mass * math.exp(logit) / total) for logit in logits)
    return ChoiceLogprobs(place, LabelLogprobs(logprobs=logprobs, floor=-12.0, label_mass=mass))


def texts(rng: Rng, prompts: int) -> list[Line]:
    """Return the lines of neutral texts, and of responses that both models score almost alike."""
    neutral, scored = [], []
    for kept, count, tokens, noise in ((neutral, TEXTS, 120, 0.3), (scored, prompts, 40, 0.02)):
        for _ in range(count):
            text = [rng.gauss(-2.5, 1) for _ in range(tokens)]
            kept.append(both(lambda text=text, noise=noise: logprobs(rng, text, noise)))
    return [*perplexity_lines(neutral), *divergence_lines(scored)]


def logprobs(rng: Rng, text: Sequence[float], noise: float) -> TextLogprobs:
    shift = rng.gauss(0, noise / 4)
    found = tuple(min(0.0, one + shift + rng.gauss(0, noise)) for one in text)
    return TextLogprobs(tuple(range(len(text))), (None, *found[1:]), 4 * len(text))


def at_equal_length(rng: Rng):  # noqa: ANN201
    """Return the win rate of pairs whose winner depends on an advantage and, twice as much, on length."""
    judged = []
    for place in range(PAIRS):
        length = round(200 * math.exp(rng.gauss(0.4, 0.3)))
        pair = ResponsePair(prompt(place), base="x" * 200, tuned="y" * length)
        won = rng.random() < sigmoid(ADVANTAGE + WORTH * pair.length_ratio)
        judged.append(JudgedPair(pair, "tuned" if won else "base", None))
    return win_rate_at_equal_length(judged)


if __name__ == "__main__":
    main()
