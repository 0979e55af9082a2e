"""The certificate of a run: which of its pairs are kept so that few of their labels disagree with people's.

`certificate.json` has the certificate in force, if any, and every attempt to get one. A certificate is valid for
exactly the pairs that it was made on: after the run was continued, or concluded again with other thresholds or
corrections, it is not valid any more, and no row is marked (`certified.py` says so).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from rlaif.errors import RunDirectoryError
from rlaif.records import Probability, Record
from rlaif.runs.directory import read_text, write_text
from rlaif.runs.rows import PreferenceRow
from rlaif.seeds import content_hash

CERTIFICATE = "certificate.json"
"""File in a run directory."""


class Claim(Record):
    """At most `error` of the kept rows disagree with people; what the claim was shown with."""

    rows: int
    """Pairs that the claim selects from: those of the run, or those with one tag."""
    labels: int
    """Pairs among them with a label by people."""
    threshold: Probability | None
    """Lowest `p_chosen` of a kept row; None where no threshold could be certified."""
    kept: int
    """Rows with a `p_chosen` of at least the threshold."""
    kept_labels: int
    """Labelled rows among the kept ones."""
    disagreements: int
    """Kept and labelled rows on which people disagree; a tie is a disagreement."""


class Certificate(Claim):
    """A claim about a run's pairs, and what it is valid for."""

    rlaif: str
    """Version of the program."""
    made: str
    error: float = Field(gt=0, lt=1)
    """Largest share of disagreements among the kept rows, in the claim."""
    confidence: float = Field(gt=0, lt=1)
    """Least probability, over the draw of the labelled sample, that a claim that is made is true."""
    confidence_of_all: float
    """The same for all attempts on this run together, by Bonferroni; equal to `confidence` for a single attempt."""
    min_p: float
    """The labelled sample was drawn from the pairs with a `p_chosen` of at least this; 0 for all pairs."""
    ties: int
    """Labelled pairs of which people prefer neither response."""
    gold: str
    gold_hash: str
    pairs_hash: str
    """Hash of the run's pairs and their probabilities (`hash_of`): the certificate is valid for no others."""
    constitution_hash: str
    tags: dict[str, Claim]
    """Claims about the rows with one tag, each with its own threshold; all of them together hold with `confidence`."""


class Attempt(Record):
    """One attempt to certify a run; several attempts are several chances of a false claim."""

    error: float
    confidence: float
    gold_hash: str
    pairs_hash: str
    kept: int
    """Rows kept; 0 where nothing could be certified."""


class Certification(Record):
    """The content of `certificate.json`."""

    attempts: tuple[Attempt, ...] = ()
    """All different attempts, in order."""
    certificate: Certificate | None = None


def mark_certified(path: Path, rows: Iterable[PreferenceRow]) -> Iterator[PreferenceRow]:
    """Yield the pairs of a run with the column `certified` where its certificate is valid; unchanged otherwise."""
    if not (path / CERTIFICATE).is_file():
        yield from rows
        return
    held, certificate = list(rows), read_certification(path).certificate
    valid = certificate is not None and certificate.pairs_hash == hash_of(held)
    for row in held:
        yield _marked(row, certificate) if valid and certificate is not None else row


def _marked(row: PreferenceRow, certificate: Certificate) -> PreferenceRow:
    kept = certificate.threshold is not None and score(row) >= certificate.threshold
    return row.model_copy(update={"certified": kept})


def score(row: PreferenceRow) -> float:
    """Return the number that thresholds are compared with: `p_chosen` without digits that differ between machines."""
    return round(row.p_chosen, 9)


def hash_of(rows: Iterable[PreferenceRow]) -> str:
    """Return a hash of the pairs and their probabilities, in order."""
    return content_hash(*(f"{row.prompt_id}\n{row.chosen_id}\n{row.rejected_id}\n{score(row):.9f}" for row in rows))


def certificate_words(certificate: Certificate) -> str:
    """Return the claim of a certificate as a phrase."""
    several = certificate.confidence_of_all < certificate.confidence
    all_of_them = f" ({percent(certificate.confidence_of_all)} for all attempts together)" if several else ""
    return (
        f"{certificate.kept} of {certificate.rows} pairs (p_chosen at least {certificate.threshold:.3f}): at most "
        f"{percent(certificate.error)} of their labels disagree with people's, with {percent(certificate.confidence)} "
        f"confidence{all_of_them}"
    )


def percent(share: float) -> str:
    """Return a share as text, such as `10%` or `2.5%`."""
    return f"{100 * share:.4g}%"


def read_certification(path: Path) -> Certification:
    """Return the content of a run's `certificate.json`; empty where there is none. Raises RunDirectoryError."""
    text = read_text(path / CERTIFICATE)
    if not text:
        return Certification()
    try:
        return Certification.model_validate_json(text)
    except ValidationError as error:
        raise RunDirectoryError(
            f"{path}/{CERTIFICATE} is not a certificate of this version ({error.errors()[0]['msg']}); remove it and "
            "certify the run again"
        ) from None


def record_attempt(path: Path, attempt: Attempt, certificate: Certificate | None) -> bool:
    """Write an attempt and its certificate into a run directory; the lock must be held. Raises StorageError.

    A failed attempt leaves an earlier certificate in force only if that one allows more errors. Returns whether an
    earlier certificate was withdrawn.
    """
    before = read_certification(path)
    held = before.certificate
    if certificate is None and held is not None and held.error > attempt.error:
        certificate = held
    attempts = tuple(dict.fromkeys((*before.attempts, attempt)))
    done = Certification(attempts=attempts, certificate=certificate)
    write_text(path / CERTIFICATE, done.model_dump_json(indent=2) + "\n")
    return held is not None and certificate is None


def confidence_of_all(attempts: Iterable[Attempt]) -> float:
    """Return the confidence that no attempt made a false claim (Bonferroni), at least 0."""
    return max(0.0, round(1 - sum(1 - attempt.confidence for attempt in set(attempts)), 9))


def shares_of_tags(tags: Mapping[str, Claim]) -> list[str]:
    """Return one line for each tag: what could be certified of its rows."""
    return [
        f"{tag}: {claim.kept} of {claim.rows} pairs (p_chosen at least {claim.threshold:.3f})"
        if claim.threshold is not None
        else f"{tag}: none of {claim.rows} pairs ({claim.labels} labels)"
        for tag, claim in tags.items()
    ]
