"""Checks: principles that a program decides, by counting or searching in a response.

Input: a check (data, from a constitution or a prompt's row) and a response. Output: whether the response passes, and
what was found. `rlaif.preferences` turns the results of two responses into log-odds.
"""

from rlaif.checks.check import Check, CheckResult, NamedCheck, functions_called, make_ready, run_check
from rlaif.checks.own_functions import allow

__all__ = ["Check", "CheckResult", "NamedCheck", "allow", "functions_called", "make_ready", "run_check"]
