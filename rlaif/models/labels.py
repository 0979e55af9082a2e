"""Reading a verdict from the log-probabilities of one token."""

import math
from collections.abc import Sequence

from rlaif.models.wire import Reply, TokenLogprob
from rlaif.records import Record


class LabelLogprobs(Record):
    """How much probability the first token gives to each label."""

    logprobs: tuple[float | None, ...]
    """Natural log-probability of each label, its spellings summed; None when it was not reported."""
    floor: float | None
    """Log-probability of the least likely token reported: an upper bound for a label that is None."""
    label_mass: float
    """Probability of all labels together."""


def read_labels(labels: Sequence[str], top: Sequence[TokenLogprob]) -> LabelLogprobs:
    """Sum the reported tokens that spell a label exactly, give or take white space around it.

    "A" and " A" spell A; "a", "A." and "Answer" do not.
    """
    masses = [0.0] * len(labels)
    for entry in top:
        for place, label in enumerate(labels):
            if entry.token.strip() == label.strip():
                masses[place] += math.exp(entry.logprob)
    return LabelLogprobs(
        logprobs=tuple(math.log(mass) if mass > 0 else None for mass in masses),
        floor=min((entry.logprob for entry in top), default=None),
        label_mass=min(1.0, sum(masses)),
    )


def keep_labels(reply: Reply, labels: Sequence[str]) -> Reply:
    """Return a reply with the tokens that `read_labels` needs and no others: those of labels, and the least likely."""
    wanted = {label.strip() for label in labels}

    def needed(top: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        floor = min(top, key=lambda entry: entry.logprob)
        return (*(entry for entry in top if entry.token.strip() in wanted and entry is not floor), floor)

    choices = (
        c.model_copy(update={"first_token": needed(c.first_token)}) if c.first_token else c for c in reply.choices
    )
    return reply.model_copy(update={"choices": tuple(choices)})
