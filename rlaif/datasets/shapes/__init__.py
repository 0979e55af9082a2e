"""The layouts of files whose rows bring responses, with or without a label of which one is better."""
