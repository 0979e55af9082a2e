"""The linter of constitutions: what a schema can't see, in their wording, their use and a finished run."""
