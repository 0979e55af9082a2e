"""`python -m rlaif` is the same as `rlaif`."""

from rlaif.cli import main

main()
