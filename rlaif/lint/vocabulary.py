"""Lists of English words for the rules about wording: function words, generic, vague, about length, comparatives.

The lists are short on purpose: a missing word loses one finding, a wrong word causes false findings.
"""

import re
from collections.abc import Iterable


def word_set(text: str) -> frozenset[str]:
    """Return the set of the words of a text."""
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
"""Words that are not a criterion, and names of the compared texts."""

GENERIC = word_set(
    """user users human humans person people reader readers human's user's everyone anybody somebody way manner general
    kind sort degree terms sense behaviour behavior content information language say says
    practice practices thing things give gives giving given provide provides providing contain contains include
    includes use uses show shows exhibit exhibits demonstrate demonstrates sound sounds seem seems feel feels offer
    offers present presents make makes follow follows behave behaves get gets lack lacks explanation explanations
    criteria standard standards"""
)
"""Words that name nothing observable on their own."""

VAGUE = word_set(
    """good better best well bad worse worst nice nicer nicest great greater greatest excellent outstanding superior
    quality high higher highest right wrong proper properly suitable appropriate appropriately inappropriate acceptable
    unacceptable ideal useful helpful helpfulness unhelpful harm harmful harmfulness harmless harmlessness honest
    honestly honesty dishonest safe safer safest safely safety unsafe ethical ethically ethics unethical moral morally
    morals morality immoral responsible responsibly irresponsible wise wiser wisest sensible reasonable virtuous decent
    aligned alignment value values principled preferable preferred desirable beneficial satisfying satisfactory
    effective effectively"""
)
"""Words of praise and blame, which each reader understands differently."""

LENGTH = word_set(
    """short shorter shortest long longer longest length lengthy lengthier brief briefer briefest briefly brevity
    concise concisely succinct succinctly terse terser verbose wordy wordier word words sentence sentences line lines
    paragraph paragraphs page pages character characters token tokens detail details detailed elaborate extensive
    comprehensive"""
)
"""Words for length, which a word count decides."""

_ER = word_set(
    """kind clear short long brief warm calm plain fair fresh firm soft quick fast soon strict rich deep broad sharp
    clean mild harsh blunt neat strong weak bold light small large cold smart sound great dull"""
)
_R = word_set("safe simple nice wise true polite gentle humble close rude loose")
_IER = word_set("friendl eas tid livel funn risk health word")
COMPARATIVE = "|".join(
    [
        "better|worse|fewer|less|more|least|most",
        *sorted(f"{word}e(?:r|st)" for word in _ER),
        *sorted(f"{word}(?:r|st)" for word in _R),
        *sorted(f"{word}ie(?:r|st)" for word in _IER),
    ]
)
"""Comparatives and superlatives, as alternatives of a pattern."""
ADJECTIVES = word_set(
    """kind clear short long brief warm calm plain fair firm safe simple nice wise true polite gentle humble honest
    concise precise exact complete correct open thorough modest sincere friendly neutral direct rude vague terse
    formal casual vivid moral credible succinct structured balanced nuanced focused organised organized relevant
    factual logical sourced"""
)
ADJECTIVE_ENDING = re.compile(r"(?:ful|less|ous|ive|able|ible|ant|ent|ic|ical|al|ate|ly)$")
QUALITY = "|".join(
    sorted(
        word_set(
            """accuracy helpfulness honesty harmlessness clarity completeness concision conciseness brevity tone style
            grammar fluency politeness kindness relevance coherence truthfulness correctness usefulness readability
            depth structure formatting length"""
        )
    )
)
"""Nouns for qualities of a response, as alternatives of a pattern."""

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
    """Return the words of a text without function words; negations are kept."""
    return frozenset(word for word in tokens(text) if word not in FUNCTION)


def stems(words: Iterable[str]) -> frozenset[str]:
    """Return the words without their most common endings: a rough stemmer to compare two texts."""
    return frozenset(_stem(word) for word in words)


def is_english(*texts: str) -> bool:
    """Whether texts are English: at least 12 % of their words are in _COMMON (about a third on average)."""
    found = [word for text in texts for word in tokens(text)]
    return bool(found) and sum(word in _COMMON for word in found) / len(found) >= 0.12


_ENDINGS = (
    *("fulness", "fully", "ness", "ful", "ings", "ing", "ed", "iest", "ies", "ier"),
    *("est", "es", "er", "ly", "s", "e"),
)
"""Endings of words, in the order in which they are tried: a longer ending before its own ending."""


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
