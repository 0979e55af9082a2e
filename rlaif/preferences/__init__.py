"""Pure arithmetic: verdicts, judgements, ranking, pairs. No I/O."""
