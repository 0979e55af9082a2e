"""Checks: principles that a program decides, by counting or searching in a response.

Input: a check (data, from a constitution or a prompt's row) and a response. Output: whether the response passes, and
what was found. `rlaif.preferences` turns the results of two responses into log-odds.
"""

from rlaif.checks.check import Check, CheckResult, NamedCheck, make_ready, run_check

__all__ = ["Check", "CheckResult", "NamedCheck", "make_ready", "run_check"]
