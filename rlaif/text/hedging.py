"""Hedges and boilerplate in a text: how many per 100 words, and where.

Two lists are kept apart. An *epistemic* hedge weakens a claim ("it may be that", "it depends"), which can be honest.
*Boilerplate* contains no information about the topic ("as an AI", "I hope this helps"). Both are patterns of several
words rather than single words: "may" as a permission ("may I", "you may enter") or a month and "might" as power do not
count. English only; whether a hedge is justified is not judged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rlaif.text.diversity import word_count

HedgeKind = Literal["epistemic", "boilerplate"]


@dataclass(frozen=True)
class HedgeSpan:
    """One phrase that was found."""

    start: int
    """Position of the first character in the text."""
    end: int
    """Position after the last character; `text[start:end]` is the phrase."""
    kind: HedgeKind


@dataclass(frozen=True)
class Hedging:
    """Rates and positions of hedges and boilerplate in a text."""

    epistemic_rate: float
    """Epistemic hedges per 100 words; 0 for a text without words."""
    boilerplate_rate: float
    """Boilerplate phrases per 100 words; 0 for a text without words."""
    spans: tuple[HedgeSpan, ...]
    """The phrases that were found, in order of the text; no two overlap."""

    @property
    def rate(self) -> float:
        """Phrases of both kinds per 100 words."""
        return self.epistemic_rate + self.boilerplate_rate


def hedges(text: str) -> Hedging:
    """Return the rates per 100 words and the positions of hedges and boilerplate in `text`.

    Advice to consult a professional always counts, even where the prompt asked for it. Phrases of both kinds count as
    boilerplate.
    """
    # Same length as the text, so that positions in it are positions in the text.
    one_line = text.translate(_ONE_FOR_ONE)
    spans = tuple(_found(one_line))
    per_word = 100 / max(1, word_count(text))
    epistemic = sum(span.kind == "epistemic" for span in spans)
    return Hedging(epistemic * per_word, (len(spans) - epistemic) * per_word, spans)


def _found(one_line: str) -> Iterator[HedgeSpan]:
    for match in _HEDGE.finditer(one_line):
        yield HedgeSpan(match.start(), match.end(), "epistemic" if match["boilerplate"] is None else "boilerplate")


_IT_IS = r"\b(?:it(?: is|'s)|it(?: would|'d) be)"
_EPISTEMIC = (
    # A guess: "may", "might" or "could" before a verb of being or bringing about, and no month's name.
    r"\b(?<!\bin )(?<!\bof )(?<!\bby )(?<!\b\d )(?:may|might|could)(?: (?:also|well|not|still|indeed|even)){0,2}"
    r" (?:be|have|depend|vary|differ|seem|appear|turn out|cause|lead|result|suggest|indicate"
    r"|reflect|affect|mean|help|work|include|require|need|want)\b",
    r"\b(?:perhaps|possibly|presumably|supposedly|seemingly|apparently|arguably|conceivably)\b",
    r"\b(?:probably|likely)\b(?! (?:cause|cause of|suspects?|candidates?)\b)",
    r"\bmaybe\b",
    r"\b(?:it|that|this|which|answer) (?:really |all |largely |often |partly )?depends\b",
    r"\b(?:depending on (?:the|your|how|who|what|where|which|whether))\b",
    r"\bi (?:(?:would )?(?:think|believe|suppose|guess|suspect|assume|imagine)|am not (?:\w{1,20} )?(?:sure|certain)"
    r"|(?:do not|don't) (?:really )?know)\b",
    r"\bi'm not (?:\w{1,20} )?(?:sure|certain)\b",
    r"\b(?:seems?|appears?) (?:to|that|like|as if|as though)\b",
    r"\b(?:tends?|thought|believed|assumed|said|considered) to (?:be|have)\b",
    r"\b(?:to some extent|to a certain extent|in some (?:cases|sense|ways)|more or less|as far as (?:i|we) know"
    r"|in (?:my|many|most) (?:opinion|view|cases)|there is (?:some|a) (?:chance|possibility)|not necessarily)\b",
    rf"{_IT_IS} (?:\w{{1,20}} )?(?:possible|conceivable|unclear|uncertain"
    r"|(?:hard|difficult) to (?:say|tell|know))\b",
)
_BOILERPLATE = (
    r"\bas (?:an? )?(?:\w{1,20} ){0,2}(?:ai|artificial intelligence|language model|chatbot|virtual assistant)\b"
    r"(?: (?:language )?(?:model|assistant))?",
    r"\bi(?: am|'m) (?:just|only|merely) (?:an? )?(?:ai|artificial intelligence|(?:large )?language model|chatbot)\b",
    r"\b(?:my (?:training|knowledge) (?:data|cut-?off)|knowledge cut-?off)\b",
    rf"(?:{_IT_IS} (?:also |always |very |really )?(?:important|essential|crucial|vital|worth|good|best|advisable)"
    r" (?:to )?(?:note|noting|remember|remembering|mention|mentioning|recogni[sz]e|keep in mind|be aware|point out"
    r"|acknowledge|understand|consider|emphasi[sz]e)(?: that)?)\b",
    r"\b(?:please (?:note|remember|be aware|keep in mind)|keep in mind that|bear in mind that)\b",
    r"\bi hope (?:this|that|these|it) (?:\w{1,20} ){0,2}helps?\b",
    r"\bi hope (?:this|that|these) (?:\w{1,20} ){1,2}(?:was|were|is|are) (?:\w{1,20} )?(?:helpful|useful)\b",
    r"\b(?:feel free|(?:do not|don't) hesitate) to (?:ask|reach out|contact|let me know|share)\b",
    r"\blet me know if (?:you|there|i|that|this)\b",
    r"\bif you have any (?:\w{1,20} ){0,3}(?:questions?|concerns?)\b",
    r"\bis there anything else\b",
    r"\bi(?: am|'m) (?:always )?(?:here|happy|glad) to (?:help|assist)\b",
    r"\b(?:great|good|excellent|fantastic|interesting) question\b(?= ?[!.])",
    r"\b(?:consult|speak|talk|check|seek|contact|see|ask)(?:ing)? (?:to |with |out )?(?:an?|your|the)"
    r" (?:\w{1,20} ){0,3}(?:professional|expert|doctor|lawyer|attorney|physician|veterinarian|therapist"
    r"|(?:financial|legal|tax) advis[eo]r)s?\b",
    r"\b(?:this|that) (?:is not|isn't|should not be taken as|does not constitute) (?:\w{1,20} )?"
    r"(?:medical|legal|financial) advice\b",
    r"\b(?:always )?do your own research\b",
)
_HEDGE = re.compile(f"(?P<boilerplate>{'|'.join(_BOILERPLATE)})|(?P<epistemic>{'|'.join(_EPISTEMIC)})", re.IGNORECASE)
_ONE_FOR_ONE = str.maketrans({"’": "'", "\n": " ", "\r": " ", "\t": " ", "\u00a0": " "})
