"""Content hashes, and seeds derived from the run's seed and a purpose; both repeat exactly."""

import json
from collections.abc import Iterable
from hashlib import blake2b

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(*parts: str | bytes, digits: int = 12) -> str:
    """Return a hash of this sequence of parts, as `digits` hex characters.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    encoded = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]
    prefixed = b"".join(piece for raw in encoded for piece in (len(raw).to_bytes(8, "big"), raw))
    return blake2b(prefixed, digest_size=(digits + 1) // 2).hexdigest()[:digits]


def content_hash_of(parts: Iterable[str]) -> str:
    """Return `content_hash` of any number of parts, of which one is in memory at a time."""
    digest = blake2b(digest_size=6)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def canonical_json(value: object) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces."""
    return _CANONICAL.encode(value)


def derive_seed(run_seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on the run's seed and the purpose alone, never on time or order."""
    return int(content_hash(str(run_seed), *(str(part) for part in purpose), digits=16), 16) % 2**31
