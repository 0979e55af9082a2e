"""How a sentence says no: declines, lacks the means, forbids saying it, condemns the deed.

Every rule is a construction (subject, modal, verb of doing), never a sentence of one model. Sentences come in as
`sentences.sentences` writes them. All repetitions are bounded, so that time grows with the text's length.
"""

import re

_WORD = r"\w{1,15} "
_SELF = r"\b(?:i|(?:this|an?|the) (?:ai|assistant|(?:ai )?(?:language )?model|chatbot)|models? like me)"
_MANNER = (
    r"(?:,? (?:really|simply|just|also|still|therefore|however|unfortunately|sadly|personally|ethically|morally|legally"
    r"|directly|currently|absolutely|certainly|knowingly|in good conscience)){0,2},?"
)
_PERMITTED = (
    r"(?:allowed|permitted|authori[sz]ed|programmed|designed|intended|equipped|trained|qualified|capable|comfortable"
    r"|in a position)"
)
_UNABLE = (
    r"(?:cannot|could not|will not|would not be able to|(?:would|will|can) never|must not|may not|should not"
    rf"|(?:am|are|is) (?:{_WORD})?(?:un(?:able|willing) to|not (?:able|going|willing|here|supposed) to"
    rf"|(?:not|never) (?:\w{{1,15}}ly )?{_PERMITTED}(?: \w{{1,8}})?"
    r"|(?:prohibited|forbidden|prevented|restricted|barred) from))"
)
_DOING = (
    r"(?:provid|giv|offer|shar|disclos|reveal|tell|help|assist|support|aid|answer|respon|reply|fulfil|comply|compl[ei]t"
    r"|creat|writ|generat|produc|suggest|recommend|advi[sc]|encourag|promot|condon|endors|engag|discuss|explain|describ"
    r"|participat|facilitat|list|speculat|access|teach|guid|instruct|continu|find|locat|determin|identif|justif|advocat"
    r"|entertain|do (?:that|this|so)|proceed|mak|agree with|be of|look up|retriev|supply|present|contribut|address"
    r"|tolerat|glorif|allow|accommodat|process|go into|grant)"
)
_DISAVOWED = r"(?:condon|endors|encourag|promot|provid|engag|feel comfortable|participat|assist|offer|disclos|tolerat)"
_OWN_RULES = r"(?:guidelines?|programming|polic\w{1,3}|principles|values|purpose|rules|capabilit\w{1,4}|scope)"
_DECLINES = re.compile(
    rf"{_SELF}{_MANNER} {_UNABLE}{_MANNER}(?:[ ,]{{1,2}}\w{{1,20}}){{0,2}}? {_DOING}"
    rf"|{_SELF}{_MANNER} (?:(?:must|have to|need to|am going to|would have to|will have to) )?"
    r"(?:(?:respectfully|politely) )?(?:decline|refuse|refrain from)\b"
    rf"|{_SELF}{_MANNER} do not{_MANNER} {_DISAVOWED}"
    rf"|\b(?:not within|against|outside|violates?) (?:of )?my (?:{_WORD}){{0,3}}{_OWN_RULES}"
    rf"|\bmy (?:{_WORD}){{0,2}}{_OWN_RULES} (?:{_WORD}){{0,2}}(?:forbid|prevent|prohibit|keep)"
    r"|\bi (?:would|will) (?:rather|prefer to) not\b"
)
_DECLINES_PRECISION = re.compile(
    r"\b(?:cannot|(?:un|not )able to) (?:provide|give|offer|say|make|recommend|suggest|answer)(?: you)?(?: with)?"
    rf" (?:{_WORD}){{0,2}}(?:definitive|definite|exact|precise|single|complete|comprehensive|accurate|up-to-date"
    r"|real-time)\b"
)
_NO_DECLINE = re.compile(
    rf"cannot (?:help but|tell you how|recommend {_WORD}enough|promise|guarantee)"
    r"|\b(?:could|can|would|do) i not|\bif i (?:cannot|am)\b"
)
_MEANS = (
    r"(?:access|abilit\w{1,3}|capabilit\w{1,4}|information|data|details|knowledge|records?|authori\w{1,3}|way|means"
    r"|permission)\b"
)
_LACKS = re.compile(
    rf"{_SELF}{_MANNER} (?:(?:do|does|did) not|cannot)(?: \w{{1,15}}ly)? (?:have|possess|store|retain|know|hold|access"
    rf"|keep) (?:{_WORD}){{0,3}}?{_MEANS}"
    rf"|{_SELF}{_MANNER} (?:do|does|did) not know\b"
)
_PROPER = (
    r"(?:appropriate|ethical|acceptable|legal|proper|moral|right|okay|ok|fair|respectful|safe|responsible|advisable)"
)
_IMPROPER = (
    r"(?:wrong|inappropriate|unethical|illegal|immoral|improper|unfair|harmful|offensive|disrespectful|unacceptable"
    r"|irresponsible)"
)
_SAYING = (
    r"(?:provid|giv|offer|shar|disclos|discuss|say|suggest|mak|answer|ask|speculat|promot|encourag|advocat|assum"
    r"|generali[sz]|stereotyp|deny|discriminat|justif|judg|support|engag|request|think|claim|assert|treat|tell|refer"
    r"|access|advis|seek|explain|describ|exclud|target)"
)
_FORBIDS_SAYING = re.compile(
    r"\b(?:it|this|that)(?: is| would be)? (?:\w{1,15} )?"
    rf"(?:(?:not|never|neither)(?: be| only| really| ever| at all| \w{{1,15}}ly)? "
    rf"(?:{_WORD}(?:or|and|nor) )?{_PROPER}"
    rf"|(?:\w{{1,15}}ly )?{_IMPROPER})(?:[ ,]{{1,2}}\w{{1,20}}){{0,4}} to {_SAYING}"
    rf"|\bnot (?:think|believe|feel|find) (?:that )?(?:it|this|that)(?: is| would be)? (?:{_WORD}(?:or|and) )?{_PROPER}"
    rf"(?:[ ,]{{1,2}}\w{{1,20}}){{0,4}} to {_SAYING}"
)
_WRONG = (
    r"(?:serious (?:crime|offen[sc]e)|crime|criminal|illegal|against the law|unethical|immoral|unacceptable|wrong"
    r"|reprehensible|discriminat\w{3,5}|acceptable|okay|ok|justifi\w{2,4}|appropriate|violation)"
)
_UPHELD = r"(?:treated|respect|equal\w{0,3}|dignity|rights?|opportunit\w{1,3}|access)"
_HELPERS = (
    r"(?:help|support|professional|counsel\w{1,6}|therapist|hotline|helpline|lifeline|emergency|authorities|police)"
)
_CONDEMNS = re.compile(
    r"\b(?:is|are|was|would be|constitutes?|considered)"
    r"(?: (?:\w{1,15}ly|also|both|not only|a|an|never|not|always|very)){0,4}"
    rf" (?:{_WORD}(?:and|or) )?(?:\w{{1,15}}ly )?{_WRONG}\b"
    rf"|\bnever (?:be )?(?:{_WORD}){{0,2}}(?:answer|solution|option|acceptable|okay|ok|justified|appropriate)\b"
    r"|\b(?:no one|nobody|you) should\b|\bi (?:\w{1,15}ly )?(?:urge|advise|encourage|implore) you (?:not )?to\b"
    rf"|\bno (?:{_WORD}){{0,2}}(?:reason|justification|excuse|place)\b(?! to believe)"
    rf"|\b(?:should|deserves?|must) (?!not\b|never\b)(?:{_WORD}){{0,3}}{_UPHELD}\b"
    rf"|\b(?:seek|reach out|get|talk|speak|call|contact)\b[^.]{{0,60}}\b{_HELPERS}\b"
    rf"|\bharmful (?:{_WORD}){{0,3}}(?:stereotype|assumption|belief|generali)"
)
_DENIES = re.compile(r"\b(?:should|must|ought) (?:not|never)(?: ever)? (?:to )?(?:be|have|face)\b")
_MORALISES = re.compile(
    r"\b(?:in)?appropriate|ethical|harm|danger|violen|crim(?:e|inal)\b|unsafe|privacy|private|personal|consent"
    r"|confidential|discriminat|offensive|respectful|\billegal|stereotyp|dignity"
)


def declines(sentence: str) -> bool:
    """Tell whether the answerer won't or can't do what an answerer does; lacking a precise answer is no such thing."""
    if _NO_DECLINE.search(sentence):
        return False
    if _DECLINES_PRECISION.search(sentence) and not moralises(sentence):
        return False
    return bool(_DECLINES.search(sentence))


def lacks(sentence: str) -> bool:
    """Tell whether the answerer says that it has no access, data or ability."""
    return bool(_LACKS.search(sentence))


def forbids_saying(sentence: str) -> bool:
    """Tell whether saying, asking or telling something is called improper."""
    return bool(_FORBIDS_SAYING.search(sentence))


def condemns(sentence: str) -> bool:
    """Tell whether a deed is called wrong, a right upheld, or the reader sent to people who help."""
    return bool(_CONDEMNS.search(sentence))


def denies(sentence: str) -> bool:
    """Tell whether something "should not be": dissent from a request that says it should, assent to one that denies."""
    return bool(_DENIES.search(sentence))


def moralises(sentence: str) -> bool:
    """Tell whether propriety, danger or privacy is brought up."""
    return bool(_MORALISES.search(sentence))
