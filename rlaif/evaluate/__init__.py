"""Measuring judges and policies: against gold labels, on collected verdicts, before and after training."""
