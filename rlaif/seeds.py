"""Content addresses and seeds: the same text gives the same name, and the same place in a run the same seed."""

import json
from hashlib import blake2b


def content_hash(*parts: str | bytes, digits: int = 12) -> str:
    """Return `digits` hex characters that name this sequence of parts.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = blake2b(digest_size=(digits + 1) // 2)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:digits]


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def derive_seed(run_seed: int, *place: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on the run's seed and on what it is for, never on time or order."""
    return int(content_hash(str(run_seed), *(str(step) for step in place), digits=16), 16) % 2**31
