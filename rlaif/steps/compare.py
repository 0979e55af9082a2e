"""One token says which of two responses is better under one principle: kind `pairwise-logprob`."""

from rlaif.constitution import Case, Principle
from rlaif.models.wire import ChatRequest
from rlaif.records import Message, Order, Verdict
from rlaif.steps.comparison import Comparison, Given, Seat
from rlaif.steps.examples import user
from rlaif.templates import Templates, conversation_text, fence_tag


async def compare(
    seat: Seat, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict of one order, read from the probabilities of the two labels."""
    judge = seat.config
    messages = compare_messages(seat, templates, comparison, order, principle)
    request = ChatRequest(messages=messages, max_tokens=1, seed=comparison.seed)
    if judge.answer_start:
        request = continued(request, judge.answer_start)
    read, answer = await seat.critic.choose(request, judge.labels, priority=comparison.priority)
    return Verdict(
        judge=judge.called,
        principle=principle.id,
        order=order,
        first=read.logprobs[0],
        second=read.logprobs[1],
        floor=read.floor if None in read.logprobs else None,
        label_mass=read.label_mass,
        reply=answer.key,
    ), [answer]


def compare_messages(
    seat: Seat, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> tuple[Message, ...]:
    """Return the question with the worked cases before it."""
    first, second = comparison.shown(order)
    judge = seat.config
    cases = principle.cases[: judge.cases]
    texts = [text for case in cases for text in (conversation_text(case.conversation), case.better, case.worse)]
    tag = fence_tag(comparison.prompt, first.text, second.text, *texts)

    def ask(conversation: str, first: str, second: str) -> Message:
        question = templates.render(
            comparison.template,
            conversation=conversation,
            first=first,
            second=second,
            labels=judge.labels,
            question=principle.compare,
            tag=tag,
        )
        return user(after_preamble(judge.preamble, question))

    def worked(case: Case, *, better_first: bool) -> tuple[Message, Message]:
        shown = (case.better, case.worse) if better_first else (case.worse, case.better)
        label = judge.labels[0 if better_first else 1]
        said = f"{judge.answer_start} {label}".strip()
        return ask(conversation_text(case.conversation), *shown), Message(role="assistant", content=said)

    # The labels take turns, the same in both orders: what the cases do to a label's odds is then a constant position
    # bias, which both orders together cancel.
    shots = [turn for place, case in enumerate(cases) for turn in worked(case, better_first=place % 2 == 0)]
    return (*shots, ask(conversation_text(comparison.prompt.messages), first.text, second.text))


def after_preamble(preamble: str, question: str) -> str:
    """Return a question with a person's own words before it."""
    return f"{preamble.strip()}\n\n{question}" if preamble.strip() else question


def continued(request: ChatRequest, start: str) -> ChatRequest:
    """Return a request whose answer goes on from words put into the model's mouth."""
    said = Message(role="assistant", content=start)
    return request.model_copy(
        update={
            "messages": (*request.messages, said),
            "continue_final_message": True,
            "add_generation_prompt": False,
        }
    )
