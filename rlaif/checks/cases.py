"""Whether a check tells the two answers of a labelled case apart as the label says; no model is needed to know."""

from rlaif.checks.check import Check, CheckResult

_SAYS = {
    (True, True): "both answers pass",
    (False, False): "both answers fail",
    (False, True): "the better answer fails and the worse one passes",
}


def case_fault(check: Check, better: CheckResult, worse: CheckResult) -> str | None:
    """Return what is wrong with a case, and what was found in both answers; None where the check decides it rightly."""
    said = _SAYS.get((better.passed, worse.passed))
    return said and f"{said} (better: {better.detail}; worse: {worse.detail}; the check: {check})"
