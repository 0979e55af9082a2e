"""Numbers with their nouns, for messages."""


def counted(count: int, what: str) -> str:
    """Return a number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{count:,} {what}" + ("s" if count != 1 else "")
