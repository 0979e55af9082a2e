"""English words as the linter sees them: content, function, vague, about length. Word lists, no language model.

The lists decide what is reported, and they are short on purpose: a word that is missing costs a finding, a word too
many costs trust in all of them.
"""

import re
from collections.abc import Iterable


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is laid out as text."""
    return frozenset(text.split())


FUNCTION = word_set(
    """a an the this that these those it its they them their he she his her i you your we our one ones both either each
    and or but yet nor so as than then if while when where because since of to in on at by for from with into about
    over under between through within towards toward out up is are was were be been being am do does did has have had
    having can could will would shall should may might must which whose who whom what how why there here very much far
    too overly also just only even still rather quite more most less least fewer fewest all any some other such own
    please choose select pick prefer compare decide consider answer answers response responses reply replies assistant
    assistants ai model chatbot text output following two likely overall possible would"""
)
"""Words that carry no criterion by themselves, and the names of what is compared."""

GENERIC = word_set(
    """user users human humans person people reader readers human's user's everyone anybody somebody way manner general
    kind sort degree terms sense behaviour behavior content information language say says
    practice practices thing things give gives giving given provide provides providing contain contains include
    includes use uses show shows exhibit exhibits demonstrate demonstrates sound sounds seem seems feel feels offer
    offers present presents make makes follow follows behave behaves get gets lack lacks explanation explanations
    criteria standard standards"""
)
"""Words that need another word beside them to mean something a reader could look for."""

VAGUE = word_set(
    """good better best well bad worse worst nice nicer nicest great greater greatest excellent outstanding superior
    quality high higher highest right wrong proper properly suitable appropriate appropriately inappropriate acceptable
    unacceptable ideal useful helpful helpfulness unhelpful harm harmful harmfulness harmless harmlessness honest
    honestly honesty dishonest safe safer safest safely safety unsafe ethical ethically ethics unethical moral morally
    morals morality immoral responsible responsibly irresponsible wise wiser wisest sensible reasonable virtuous decent
    aligned alignment value values principled preferable preferred desirable beneficial satisfying satisfactory
    effective effectively"""
)
"""Praise and blame: each reader sees something else in them."""

LENGTH = word_set(
    """short shorter shortest long longer longest length lengthy lengthier brief briefer briefest briefly brevity
    concise concisely succinct succinctly terse terser verbose wordy wordier word words sentence sentences line lines
    paragraph paragraphs page pages character characters token tokens detail details detailed elaborate extensive
    comprehensive"""
)
"""Criteria that counting words answers."""

_COMMON = word_set(
    """which the that this these and or of to with for what who how it its by from more less than not does do any
    answer response answers responses choose"""
)
"""Frequent in English and rare in other languages ("is", "in", "die" and "a" are not)."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case; hyphens separate, possessive endings are dropped."""
    found = (match.group().replace("’", "'") for match in _TOKEN.finditer(text.lower()))
    return [word.removesuffix("'s") for word in found]


def content(text: str) -> frozenset[str]:
    """Return the words that carry meaning; negations are among them."""
    return frozenset(word for word in tokens(text) if word not in FUNCTION)


def stems(words: Iterable[str]) -> frozenset[str]:
    """Return the words without their commonest endings: crude, and enough to see that two texts share them."""
    return frozenset(_stem(word) for word in words)


def is_english(*texts: str) -> bool:
    """Whether texts are English, by the share of common words; on average these are a third of English text."""
    found = [word for text in texts for word in tokens(text)]
    return bool(found) and sum(word in _COMMON for word in found) / len(found) >= 0.12


def _stem(word: str) -> str:
    for ending in (
        "fulness",
        "fully",
        "ness",
        "ful",
        "ings",
        "ing",
        "ed",
        "iest",
        "ies",
        "ier",
        "est",
        "es",
        "er",
        "ly",
        "s",
        "e",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
