"""Programs as principles: what can be counted or looked up in an answer, no model asks for it.

Comes in: a check (data, from a constitution or a prompt's row) and an answer. Goes out: whether it passed, and what was
found. Everything is a pure function of the texts, but for `python:`, which runs a function of the user's own. What a
difference between two answers is worth is for `rlaif.preferences`.
"""

from rlaif.checks.check import Check, CheckResult, NamedCheck
from rlaif.checks.ready import make_ready
from rlaif.checks.run import run_check

__all__ = ["Check", "CheckResult", "NamedCheck", "make_ready", "run_check"]
