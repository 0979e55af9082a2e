"""The steps that write text with a model: sample, critique, revise; one file each."""
