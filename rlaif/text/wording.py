"""Numbers and nouns in English sentences, as messages need them."""


def counted(count: int, what: str) -> str:
    """Return a number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{count:,} {what}" + ("s" if count != 1 else "")
