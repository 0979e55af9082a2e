"""Content hashes, and seeds derived from the run's seed and a purpose; both repeat exactly."""

import json
from hashlib import blake2b


def content_hash(*parts: str | bytes, digits: int = 12) -> str:
    """Return a hash of this sequence of parts, as `digits` hex characters.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    """
    digest = blake2b(digest_size=(digits + 1) // 2)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:digits]


def canonical_json(value: object) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def derive_seed(run_seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on the run's seed and the purpose alone, never on time or order."""
    return int(content_hash(str(run_seed), *(str(part) for part in purpose), digits=16), 16) % 2**31
