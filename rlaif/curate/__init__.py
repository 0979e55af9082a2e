"""Select rows of a preference dataset: without duplicates and test rows, without what detectors find, the best ones."""
