"""Measuring judges: against gold labels, and on verdicts that somebody else collected."""
