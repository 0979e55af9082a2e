"""The linter of constitutions: faults in wording, in use, and in what a finished run measured."""
