"""Two questions in one (C102): the judge has one answer to give, and nobody knows to which of the two it gave it.

Only joints that almost never mean one criterion are reported: two question marks, two comparisons ("kinder and
shorter"), two adjectives said of the answer ("is clear and polite"), two qualities ("accuracy and tone"). "Names and
dates" and "sent or used" are one question about several things.
"""

import re
from collections.abc import Iterator

from rlaif.lint.subject import Hit, Subject
from rlaif.lint.vocabulary import word_set

_ER = word_set(
    """kind clear short long brief warm calm plain fair fresh firm soft quick fast soon strict rich deep broad sharp
    clean mild harsh blunt neat strong weak bold light small large cold smart sound great dull"""
)
_R = word_set("safe simple nice wise true polite gentle humble close rude loose")
_IER = word_set("friendl eas tid livel funn risk health word")
_COMPARED = "|".join(
    [
        "better|worse|fewer|less|more|least|most",
        *sorted(f"{word}e(?:r|st)" for word in _ER),
        *sorted(f"{word}(?:r|st)" for word in _R),
        *sorted(f"{word}ie(?:r|st)" for word in _IER),
    ]
)
_ADJECTIVES = word_set(
    """kind clear short long brief warm calm plain fair firm safe simple nice wise true polite gentle humble honest
    concise precise exact complete correct open thorough modest sincere friendly neutral direct rude vague terse
    formal casual vivid moral credible succinct structured balanced nuanced focused organised organized relevant
    factual logical sourced"""
)
_ADJECTIVE_ENDING = re.compile(r"(?:ful|less|ous|ive|able|ible|ant|ent|ic|ical|al|ate|ly)$")
_QUALITY = "|".join(
    sorted(
        word_set(
            """accuracy helpfulness honesty harmlessness clarity completeness concision conciseness brevity tone style
            grammar fluency politeness kindness relevance coherence truthfulness correctness usefulness readability
            depth structure formatting length"""
        )
    )
)

_SECOND_QUESTION = re.compile(r"\b(?:and|or) (?:also )?which (?:answer|response|reply|one|of)\b", re.I)
_TWO_COMPARED = re.compile(
    rf"\b((?:{_COMPARED})(?: [\w-]+)?)\b[^?;.]{{0,50}}?[ ,](?:and|but|yet|while|and/or|as well as)"
    r" (?:also |the |at the same time )?(?:being |are |\w+s )?"
    rf"((?:{_COMPARED})(?: [\w-]+)?)\b",
    re.I,
)
_EITHER_COMPARED = re.compile(rf"\b({_COMPARED}) or ({_COMPARED})\b", re.I)
_TWO_QUALITIES = re.compile(
    rf"\b({_QUALITY})(?:, (?:{_QUALITY}))*,? (?:and|as well as|and/or|&) ({_QUALITY})\b"
    r"(?! of (?!the (?:answer|response)))",
    re.I,
)
_SAID_OF_IT = re.compile(
    r"(?:^which|\b(?:answers?|responses?|reply|one)(?: that| which)?)(?: would| should| could)?"
    r"(?:['’]s| is| are| be| sounds?| seems?| feels?| reads| looks)"
    r"(?: both| much| the| as| more| most| less| least){0,2}"
    r" ((?:[\w-]+, )*[\w-]+,?) and (?:more |less |most |least |the )*([\w-]+)"
    r"(?=[?.!,;:]|$| (?:to|in|for|towards?|about|while|when|with|as|than|of|without|overall|on)\b)",
    re.I,
)
_QUOTED = re.compile(r"[\"“][^\"”]*[\"”]")
_IDIOMS = re.compile(r"\b(?:more|less|better|worse) (?:and|or) (?:more|less|better|worse)\b(?! [\w-]+[?,.])", re.I)


def two_questions(subject: Subject) -> Iterator[Hit]:
    """C102."""
    for name, question in subject.questions:
        if joined := _joined(_IDIOMS.sub("", _QUOTED.sub("", question))):
            yield Hit(f"asks two questions in one: {joined}; make them two principles", name, "compare")


def _joined(question: str) -> str | None:
    """Return what is joined, in words for a message; None for a single question."""
    if question.count("?") > 1:
        return "there are two question marks"
    if found := _SECOND_QUESTION.search(question):
        return f'"{found.group()} …"'
    for pattern in (_TWO_COMPARED, _EITHER_COMPARED, _TWO_QUALITIES):
        if found := pattern.search(question):
            return f'"{found[1]}" and "{found[2]}"'
    for found in _SAID_OF_IT.finditer(question):
        said = [*re.split(r", |,", found[1].strip(",")), found[2]]
        if all(_is_adjective(word) for word in said):
            return " and ".join(f'"{word}"' for word in said)
    return None


def _is_adjective(word: str) -> bool:
    word = word.lower().removeprefix("well-")
    return word in _ADJECTIVES or bool(_ADJECTIVE_ENDING.search(word))
