"""`python -m rlaif` is the same as `rlaif`."""

from rlaif.cli.main import main

main()
