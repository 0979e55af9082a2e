"""How often intervals of a policy's evaluation hold the truth, and how often they show a difference that is not there.

python benchmarks/policy_intervals.py [ROUNDS]
"""

import math
import random
import sys

from rlaif.evaluate.policy.gains_and_losses import SIDES, Measure, paired_bootstrap, ratio_line
from rlaif.evaluate.policy.win_rates import JudgedPair, ResponsePair, win_rate_at_equal_length
from rlaif.records import Message, Prompt
from rlaif.stats.estimates import Tally
from rlaif.stats.log_odds import sigmoid

PAIRS, PROMPTS, RESPONSES = 100, 42, 4
ADVANTAGE, WORTH = 0.3, 2.0
"""Log-odds of the tuned response at equal length, and logits per unit of log length ratio."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    held = [_at_equal_length(seed).holds(sigmoid(ADVANTAGE)) for seed in range(rounds)]
    print(f"win rate at equal length: its interval holds the truth in {sum(held) / rounds:.1%} of {rounds} rounds")
    alarms = [_share_line(seed).finding != "nothing shown" for seed in range(rounds)]
    print(f"share of {PROMPTS} prompts, two equal models: a difference shown in {sum(alarms) / rounds:.1%}")


def _at_equal_length(seed: int):  # noqa: ANN202
    """Return the win rate of pairs whose winner depends on an advantage and, twice as much, on length."""
    rng, judged = random.Random(seed), []
    for place in range(PAIRS):
        length = round(200 * math.exp(rng.gauss(0.4, 0.3)))
        prompt = Prompt(id=str(place), messages=(Message(role="user", content="x"),))
        pair = ResponsePair(prompt, base="x" * 200, tuned="y" * length)
        won = rng.random() < sigmoid(ADVANTAGE + WORTH * pair.length_ratio)
        judged.append(JudgedPair(pair, "tuned" if won else "base", None))
    return win_rate_at_equal_length(judged)


def _share_line(seed: int):  # noqa: ANN202
    """Return the line of two models that do something equally often, in some prompts more than in others."""
    rng, tallies = random.Random(seed), []
    for _ in range(PROMPTS):
        share = rng.betavariate(0.6, 3)
        counts = {side: sum(rng.random() < share for _ in range(RESPONSES)) for side in SIDES}
        tallies.append({side: Tally({"so": counts[side], "answers": RESPONSES}) for side in SIDES})
    return ratio_line(paired_bootstrap(tallies), Measure("x", "manner", "x", "lower"), "so", "answers")


if __name__ == "__main__":
    main()
