"""Rules about single questions and instructions (C003, C103 to C108): what can be seen in the words alone.

They read English, and stay silent when in doubt.
"""

import re
from collections.abc import Iterator

from rlaif.constitution.schema import Principle
from rlaif.lint.subject import Hit, Subject, words_of
from rlaif.lint.vocabulary import GENERIC, LENGTH, VAGUE, content

_CHOICE = re.compile(r"\b(which|whose|what (answer|response|reply)|choose|select|pick|prefer|of the two)\b", re.I)

_FORBIDS = re.compile(
    r"(?:(?:please|however|also|and|but|then|above all),? )*"
    r"(?:(?:the|your) (?:answer|response|reply) )?"
    r"(?:(?:do|must|should|may|can) not|(?:do|must|should|ca)n['’]t|cannot|never|avoid|refrain|no)\b",
    re.I,
)
_INSTEAD = re.compile(r"\b(instead|but|rather|only)\b", re.I)

_ABSENT = re.compile(
    r"\b(?:answer|response|reply|one|that) (?:avoids|refrains|never|(?:does|is|has|would|could)(?: not|n['’]t))\b", re.I
)
_DEGREE = re.compile(r"\b(more|most|less|least|fewer|fewest|better|best|instead|as \w+ as|(but|and) (?!not\b))", re.I)

_UNSEEN = re.compile(
    r"\b(?:[Aa]nswer|[Rr]esponse|[Rr]eply|[Aa]ssistant) ?[\"'(\[]?[AB12]\b(?!-)"
    r"|(?:[,:(]|\b(?:between|choose|prefer|either|is it)) ?\(?A\)? (?:or|and|than|over) \(?B\b"
    r"|\bthe (?:first|second|former|latter) (?:answer|response|reply|assistant)\b(?! (?:of|to|on|in)\b)"
    r"|\b(?:as|criteria|rules?|principles?|questions?)"
    r"(?: described| stated| defined| explained| asked| listed| given| said)? (?:above|below)\b"
    r"|\b(?:the|this|these|our|your) (?:above|other|previous|preceding)"
    r" (?:rules?|principles?|criteri(?:on|a)|guidelines?)\b"
    r"|\b(?:this|these) (?:rules?|principles?|constitution)\b(?!:)|\baccording to the constitution\b"
    r"|\bthe (?:critique|critic)(?:['’]s)?\b(?! of\b)"
)

_ANSWERER = (
    r"(?:answer|response|reply|assistant|model|ai)(?:['’]s?)?"
    r"(?: (?:that|which|who|is|was|has|shows|more|less|the|really|truly|genuinely|sincerely|actually)){0,3}"
)
_MIND = re.compile(
    rf"\b{_ANSWERER} (?:intend(?:s|ed)?|intentions?|intent|motives?|means? well|well[- ](?:meant|intentioned))\b"
    rf"|\b{_ANSWERER} (?:good|better|bad|worse|best|kinder) (?:intentions?|intent|motives?|faith)\b"
    rf"|\b{_ANSWERER} (?:really|truly|genuinely|sincerely|secretly) (?:wants?|cares?|believes?|tries|wishes)\b"
    r"|\b(?:least|less|more|most) (?:intended|meant) to\b",
    re.I,
)


def not_english(subject: Subject) -> Iterator[Hit]:
    """C003: silence about wording that was not read must not pass for praise."""
    english = {principle.id for principle in subject.english}
    if unread := [p.id for p in subject.constitution.principles if _is_worded(p) and p.id in subject.own - english]:
        names = ", ".join(unread[:4]) + (", …" if len(unread) > 4 else "")
        yield Hit(f"not English, so the wording was not checked: {names}")


def _is_worded(principle: Principle) -> bool:
    """Whether there are words to check; a program alone has none."""
    return principle.check is None or bool(words_of(principle))


def names_nothing_observable(subject: Subject) -> Iterator[Hit]:
    """C103: nothing but praise or blame."""
    for name, question in subject.questions:
        words = content(question) - GENERIC
        if words <= VAGUE and (words or not content(question)):
            only = f", only {_listed(words)}" if words else ""
            yield Hit(f"the question names nothing that can be seen in a text{only}", name, "compare")


def only_forbids(subject: Subject) -> Iterator[Hit]:
    """C104: the reviser is told what not to write and never what to write; the judge to look for what is not there."""
    for principle in subject.worded:
        if principle.revise is not None and not principle.compare_only:
            sentences = _sentences(principle.revise)
            if all(_FORBIDS.match(sentence) and not _INSTEAD.search(sentence) for sentence in sentences):
                yield Hit("revise only says what not to write; say what to write instead", principle.id, "revise")
        elif _ABSENT.search(principle.compare or "") and not _DEGREE.search(principle.compare or ""):
            yield Hit("the question asks only for what is absent, which both answers may lack", principle.id, "compare")


def asks_for_length(subject: Subject) -> Iterator[Hit]:
    """C105: counting words answers it."""
    for name, question in subject.questions:
        words = content(question) - GENERIC
        if words and words <= LENGTH:
            yield Hit(f"counting words answers this question ({_listed(words)})", name, "compare")


def does_not_choose(subject: Subject) -> Iterator[Hit]:
    """C106: no choice between two answers."""
    for name, question in subject.questions:
        if not _CHOICE.search(question):
            yield Hit(
                'the judge is to choose between two answers, and this does not ask it to; begin with "Which answer"',
                name,
                "compare",
            )


def points_at_the_unseen(subject: Subject) -> Iterator[Hit]:
    """C107: it mentions labels, places or other rules."""
    for name, question in subject.questions:
        if found := _UNSEEN.search(question):
            named = found.group().strip(" ,:(")
            yield Hit(
                f'"{named}" means nothing to the judge: it sees this question alone, and the answers in both orders',
                name,
                "compare",
            )


def judges_a_mind(subject: Subject) -> Iterator[Hit]:
    """C108: what the answerer meant, not what the answer says."""
    for name, question in subject.questions:
        if found := _MIND.search(question):
            yield Hit(
                f'"{found.group().strip()}" asks what the answerer had in mind, and the judge has only the text',
                name,
                "compare",
            )


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<=[.!?;:])\s+", text) if part.strip()]


def _listed(words: frozenset[str]) -> str:
    return ", ".join(f'"{word}"' for word in sorted(words))
