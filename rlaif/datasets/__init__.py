"""Reading prompts and other rows, and exporting datasets."""
