"""For whoever writes constitutions: test a critic on their cases, compare two, import one, describe the format."""
