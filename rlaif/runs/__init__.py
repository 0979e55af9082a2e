"""Run directories: writing, reading, their rows, summary and description."""
