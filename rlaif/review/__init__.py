"""A local page on which people review the pairs of a run by hand."""
