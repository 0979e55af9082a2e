"""Rules about the wording of principles (C003, C101 to C109). They are for English, and report nothing when in doubt.

C101 and C109 compare meaning words without endings; paraphrases in other words are found in a finished run only (C302,
C303). C102 reports combinations that are almost always two criteria: two question marks, two comparisons ("kinder and
shorter"), two adjectives of the answer ("is clear and polite"), two qualities ("accuracy and tone"). "Names and dates"
and "sent or used" are one question about several things.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import combinations

from rlaif.constitution.schema import Principle
from rlaif.lint.codes import Hit, Rule, rule
from rlaif.lint.subject import Subject, words_of
from rlaif.lint.vocabulary import (
    ADJECTIVE_ENDING,
    ADJECTIVES,
    COMPARATIVE,
    GENERIC,
    LENGTH,
    QUALITY,
    VAGUE,
    content,
    stems,
    tokens,
)

SAME_QUESTION = 0.8
SAME_TEXT = 0.85
"""Least Jaccard index of the words of two questions (two texts) at which they count as the same."""

FEWEST_WORDS = 4
"""If either question has fewer words, all words must be the same."""

_MORE = {"more", "most", "better", "best", "longer", "longest", "higher", "greater"}
_LESS = {"less", "least", "fewer", "fewest", "worse", "worst", "shorter", "shortest", "lower", "smaller"}

_SECOND_QUESTION = re.compile(r"\b(?:and|or) (?:also )?which (?:answer|response|reply|one|of)\b", re.I)
_TWO_COMPARED = re.compile(
    rf"\b((?:{COMPARATIVE})(?: [\w-]+)?)\b[^?;.]{{0,50}}?[ ,](?:and|but|yet|while|and/or|as well as)"
    r" (?:also |the |at the same time )?(?:being |are |\w+s )?"
    rf"((?:{COMPARATIVE})(?: [\w-]+)?)\b",
    re.I,
)
_EITHER_COMPARED = re.compile(rf"\b({COMPARATIVE}) or ({COMPARATIVE})\b", re.I)
_TWO_QUALITIES = re.compile(
    rf"\b({QUALITY})(?:, (?:{QUALITY}))*,? (?:and|as well as|and/or|&) ({QUALITY})\b"
    r"(?! of (?!the (?:answer|response)))",
    re.I,
)
_DESCRIBED_AS = re.compile(
    r"(?:^which|\b(?:answers?|responses?|reply|one)(?: that| which)?)(?: would| should| could)?"
    r"(?:['’]s| is| are| be| sounds?| seems?| feels?| reads| looks)"
    r"(?: both| much| the| as| more| most| less| least){0,2}"
    r" ((?:[\w-]+, )*[\w-]+,?) and (?:more |less |most |least |the )*([\w-]+)"
    r"(?=[?.!,;:]|$| (?:to|in|for|towards?|about|while|when|with|as|than|of|without|overall|on)\b)",
    re.I,
)
_QUOTED = re.compile(r"[\"“][^\"”]*[\"”]")
_IDIOMS = re.compile(r"\b(?:more|less|better|worse) (?:and|or) (?:more|less|better|worse)\b(?! [\w-]+[?,.])", re.I)

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

_WRITER = (
    r"(?:answer|response|reply|assistant|model|ai)(?:['’]s?)?"
    r"(?: (?:that|which|who|is|was|has|shows|more|less|the|really|truly|genuinely|sincerely|actually)){0,3}"
)
_INTENTION = re.compile(
    rf"\b{_WRITER} (?:intend(?:s|ed)?|intentions?|intent|motives?|means? well|well[- ](?:meant|intentioned))\b"
    rf"|\b{_WRITER} (?:good|better|bad|worse|best|kinder) (?:intentions?|intent|motives?|faith)\b"
    rf"|\b{_WRITER} (?:really|truly|genuinely|sincerely|secretly) (?:wants?|cares?|believes?|tries|wishes)\b"
    r"|\b(?:least|less|more|most) (?:intended|meant) to\b",
    re.I,
)


def question_rule(code: str) -> Callable[[Callable[[str], str | None]], Rule]:
    """Register a function that returns the message about a compare question, or None."""

    def register(fault_of: Callable[[str], str | None]) -> Rule:
        @rule(code)
        def found(subject: Subject) -> Iterator[Hit]:
            for name, question in subject.questions:
                if fault := fault_of(question):
                    yield Hit(fault, name, "compare")

        return found

    return register


@rule("C003")
def not_english(subject: Subject) -> Iterator[Hit]:
    """Principles that are not in English, whose wording is therefore not checked."""
    read = {principle.id for principle in subject.english}
    worded = [p.id for p in subject.constitution.principles if p.check is None or words_of(p)]
    if unread := [name for name in worded if name in subject.own - read]:
        names = ", ".join(unread[:4]) + (", …" if len(unread) > 4 else "")
        yield Hit(f"not English, so the wording was not checked: {names}")


@rule("C101")
def near_duplicates(subject: Subject) -> Iterator[Hit]:
    """Two principles ask nearly the same question."""
    for earlier, later in _pairs(subject):
        if (share := _likeness(earlier, later)) and not _opposite(earlier, later):
            yield Hit(f'near-duplicate of "{earlier.id}": {share}', later.id, "compare")


@question_rule("C102")
def two_questions(question: str) -> str | None:
    """Two criteria in one question."""
    joined = _joined(_IDIOMS.sub("", _QUOTED.sub("", question)))
    return joined and f"asks two questions in one: {joined}; split it into two principles"


@question_rule("C103")
def names_nothing_observable(question: str) -> str | None:
    """The question contains only words of praise or blame."""
    words = content(question) - GENERIC
    if not words <= VAGUE or (content(question) and not words):
        return None
    return "the question names nothing observable in a text" + (f", only {_listed(words)}" if words else "")


@rule("C104")
def only_forbids(subject: Subject) -> Iterator[Hit]:
    """`revise` only forbids; or, without `revise`, the question asks only which response lacks something."""
    for principle in subject.worded:
        question = principle.compare or ""
        if principle.revise is not None and not principle.compare_only:
            sentences = [part for part in re.split(r"(?<=[.!?;:])\s+", principle.revise.strip()) if part]
            if all(_FORBIDS.match(sentence) and not _INSTEAD.search(sentence) for sentence in sentences):
                yield Hit("revise only says what not to write; add what to write instead", principle.id, "revise")
        elif _ABSENT.search(question) and not _DEGREE.search(question):
            fault = "the question asks only which response lacks something, and both may lack it"
            yield Hit(fault, principle.id, "compare")


@question_rule("C105")
def asks_for_length(question: str) -> str | None:
    """The question can be answered by counting words."""
    words = content(question) - GENERIC
    return f"this question can be answered by counting words ({_listed(words)})" if words and words <= LENGTH else None


@question_rule("C106")
def does_not_choose(question: str) -> str | None:
    """The question does not ask for a choice."""
    if _CHOICE.search(question):
        return None
    return 'the question does not ask for a choice between two responses; begin with "Which answer"'


@question_rule("C107")
def mentions_the_unseen(question: str) -> str | None:
    """The question mentions labels, places or other rules, which the judge does not see."""
    if not (found := _UNSEEN.search(question)):
        return None
    mentioned = found.group().strip(" ,:(")
    return f'the judge cannot know what "{mentioned}" is: it sees only this question and two responses, in both orders'


@question_rule("C108")
def judges_intentions(question: str) -> str | None:
    """The question is about intentions and not about the text."""
    found = _INTENTION.search(question)
    return found and f'"{found.group().strip()}" asks about intentions, but the judge sees only the text'


@rule("C109")
def opposites(subject: Subject) -> Iterator[Hit]:
    """Two principles ask the opposite of each other."""
    for earlier, later in _pairs(subject):
        if _same_question(earlier, later) and _opposite(earlier, later):
            yield Hit(f'asks the opposite of "{earlier.id}": the two cancel out', later.id, "compare")


def _pairs(subject: Subject) -> Iterator[tuple[Principle, Principle]]:
    """Yield pairs of principles of which one is the file's own, or that come from different files.

    The finding is reported at the second of a pair.
    """
    for earlier, later in combinations(subject.english, 2):
        own = [principle.id in subject.own for principle in (earlier, later)]
        if any(own) or subject.sources[earlier.id] != subject.sources[later.id]:
            yield (later, earlier) if own == [True, False] else (earlier, later)


def _likeness(one: Principle, other: Principle) -> str | None:
    """Return in words how much two principles have in common, if they count as the same; else None."""
    if share := _same_question(one, other):
        return "the same question" if share == 1 else f"{share:.0%} of the words of the two questions are the same"
    texts = [_meaning(" ".join(words_of(principle))) for principle in (one, other)]
    share = _jaccard(*texts)
    return f"{share:.0%} of all their words are the same" if share >= SAME_TEXT else None


def _same_question(one: Principle, other: Principle) -> float:
    """Return the Jaccard index of two questions' words where they count as the same question, else 0."""
    if one.compare is None or other.compare is None or one.critique_only or other.critique_only:
        return 0.0
    questions = [_meaning(principle.compare or "") for principle in (one, other)]
    share = _jaccard(*questions)
    enough = SAME_QUESTION if min(map(len, questions)) >= FEWEST_WORDS else 1.0
    return share if share >= enough else 0.0


@lru_cache(maxsize=10_000)
def _meaning(text: str) -> frozenset[str]:
    """Return the stems of a text's meaning words; cached, because every text is compared with every other."""
    return stems(content(text))


def _opposite(one: Principle, other: Principle) -> bool:
    """Whether one question has only words of "more" and the other only words of "less"."""
    words = [set(tokens(principle.compare or "")) for principle in (one, other)]
    directions = [(bool(found & _MORE), bool(found & _LESS)) for found in words]
    return sorted(directions) == [(False, True), (True, False)]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def _joined(question: str) -> str | None:
    """Return in words the two criteria of a question; None for a single one."""
    if question.count("?") > 1:
        return "there are two question marks"
    if found := _SECOND_QUESTION.search(question):
        return f'"{found.group()} …"'
    for pattern in (_TWO_COMPARED, _EITHER_COMPARED, _TWO_QUALITIES):
        if found := pattern.search(question):
            return f'"{found[1]}" and "{found[2]}"'
    for found in _DESCRIBED_AS.finditer(question):
        adjectives = [*re.split(r", |,", found[1].strip(",")), found[2]]
        if all(_is_adjective(word) for word in adjectives):
            return " and ".join(f'"{word}"' for word in adjectives)
    return None


def _is_adjective(word: str) -> bool:
    word = word.lower().removeprefix("well-")
    return word in ADJECTIVES or bool(ADJECTIVE_ENDING.search(word))


def _listed(words: frozenset[str]) -> str:
    return ", ".join(f'"{word}"' for word in sorted(words))
