"""The critic thinks in words before it says which of two responses is better: kind `pairwise-reasoned`.

The verdict is the last line of what the critic itself wrote, or the probability of the two labels once its reasoning
and the beginning of that line stand there. Nothing else in the text is looked at, so that no verdict quoted from an
answer can pose as the critic's.
"""

import math
import re

from rlaif.config import JudgeConfig
from rlaif.constitution import Principle
from rlaif.hashing import derive_seed
from rlaif.models.wire import ChatRequest, Choice
from rlaif.records import Order, Verdict
from rlaif.steps.compare import after_preamble, continued
from rlaif.steps.comparison import Comparison, Given, Seat
from rlaif.steps.examples import user
from rlaif.templates import Templates, conversation_text, fence_tag

USUAL_TEMPERATURE = 0.7
USUAL_LENGTH = 1024
LINE = "Verdict:"


async def deliberate(
    seat: Seat, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict of one order, and what was thought before it."""
    judge, prompt = seat.config, comparison.prompt.id
    request = ChatRequest(
        messages=(user(_question(seat, templates, comparison, order, principle)),),
        max_tokens=judge.max_tokens or USUAL_LENGTH,
        temperature=USUAL_TEMPERATURE if judge.temperature is None else judge.temperature,
        seed=derive_seed(comparison.seed or comparison.run_seed, prompt, judge.called, principle.compare or "", order),
    )
    thought = await seat.critic.chat(request, priority=comparison.priority)
    choice = thought.reply.choices[0]
    verdict = Verdict(
        judge=judge.called,
        principle=principle.id,
        order=order,
        label_mass=0.0,
        reasoning=whole_thought(choice),
        reply=thought.key,
    )
    if judge.read == "text":
        return in_words(verdict, choice, judge), [thought]
    said = f"{before_the_verdict(whole_thought(choice))}\n\n{LINE}"
    asked = continued(ChatRequest(messages=request.messages, max_tokens=1, seed=comparison.seed), said)
    read, answer = await seat.critic.choose(asked, judge.labels, priority=comparison.priority)
    found = verdict.model_copy(
        update={
            "first": read.logprobs[0],
            "second": read.logprobs[1],
            "floor": read.floor if None in read.logprobs else None,
            "label_mass": read.label_mass,
            "reply": answer.key,
        }
    )
    return clamped(found, judge), [thought, answer]


def in_words(verdict: Verdict, choice: Choice, judge: JudgeConfig) -> Verdict:
    """Return the verdict with what its last line says; one that was cut off, or says nothing, stays unreadable."""
    said = None if choice.finish_reason == "length" else read_verdict(choice.text, judge.labels)
    if said is None:
        return verdict
    named = "first" if said == 0 else "second"
    return clamped(verdict.model_copy(update={"said": named, "label_mass": 1.0}), judge)


def read_verdict(text: str, labels: tuple[str, str]) -> int | None:
    """Return which label the last line of a text names, 0 or 1; None when it is not a verdict, to the letter.

    Bold type and a closing full stop are let pass, and brackets around the label.
    """
    lines = text.strip().splitlines()
    last = lines[-1].replace("*", "").strip() if lines else ""
    found = re.fullmatch(rf"{LINE}\s*(?P<whole>[\[(`]?(?P<label>.+?)[\])`]?)\.?", last, re.IGNORECASE)
    named = [label.strip() for label in labels]
    said = [] if found is None else [found["whole"], found["label"]]
    return next((named.index(label) for label in said if label in named), None)


def clamped(verdict: Verdict, judge: JudgeConfig) -> Verdict:
    """Return a verdict with its log-odds held within the judge's range; what was read stands beside."""
    logit = verdict.raw_logit()
    if logit is None or judge.clamp is None:
        return verdict
    low, high = (math.log(p / (1 - p)) for p in judge.clamp)
    return verdict.model_copy(update={"clamped": min(max(logit, low), high)})


def whole_thought(choice: Choice) -> str:
    """Return what the critic wrote, a thinking model's thoughts first."""
    return "\n\n".join(part for part in (choice.reasoning, choice.text) if part)


def before_the_verdict(text: str) -> str:
    """Return a text without a last line that begins like a verdict."""
    lines = text.strip().splitlines()
    ends = bool(lines) and lines[-1].replace("*", "").strip().lower().startswith(LINE.lower())
    return "\n".join(lines[:-1] if ends else lines).strip()


def _question(seat: Seat, templates: Templates, comparison: Comparison, order: Order, principle: Principle) -> str:
    first, second = comparison.shown(order)
    question = templates.render(
        "deliberate",
        conversation=conversation_text(comparison.prompt.messages),
        first=first.text,
        second=second.text,
        labels=seat.config.labels,
        question=principle.compare,
        tag=fence_tag(comparison.prompt, first.text, second.text),
    )
    return after_preamble(seat.config.preamble, question)
