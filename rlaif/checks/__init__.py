"""Programs as principles: what can be counted or looked up in a response, without a model.

Input: a check (data, from a constitution or a prompt's row) and a response. Output: whether it passed, and what was
found. How much a passed check counts against a failed one is decided in `rlaif.preferences`.
"""

from rlaif.checks.check import Check, CheckResult, NamedCheck, make_ready, run_check

__all__ = ["Check", "CheckResult", "NamedCheck", "make_ready", "run_check"]
