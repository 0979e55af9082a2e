"""The certificate of a run and whether it is valid for the run's present pairs; a run of its certified pairs only."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rlaif.errors import UsageError
from rlaif.runs.certificate import CERTIFICATE, Certificate, hash_of, read_certification
from rlaif.runs.reader import Run
from rlaif.runs.rows import PreferenceRow


class State(NamedTuple):
    """A run's certificate and whether it is valid for the run's present pairs."""

    certificate: Certificate | None
    valid: bool


class CertifiedRun(Run):
    """A run whose `preference_rows` are the certified ones. Raises UsageError without a valid certificate."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        certificate, valid = state_of(self)
        if certificate is None:
            raise UsageError(f"{path} has no certificate; run rlaif certify {path} --gold FILE")
        if not valid:
            raise UsageError(f"{path}: {_no_longer_valid(certificate)}; run rlaif certify {path} --gold FILE again")

    def preference_rows(self) -> Iterator[PreferenceRow]:
        """Yield the certified pairs as rows of the dataset."""
        return (row for row in super().preference_rows() if row.certified)


def state_of(run: Run) -> State:
    """Return the state of a run's certificate; reads all traces where there is one. Raises RunDirectoryError."""
    if not (run.path / CERTIFICATE).is_file():
        return State(None, valid=False)
    certificate = read_certification(run.path).certificate
    valid = certificate is not None and certificate.pairs_hash == hash_of(Run.preference_rows(run))
    return State(certificate, valid)


def certificate_in_force(run: Run) -> Certificate | None:
    """Return the certificate that is valid for a run's present pairs, or None."""
    certificate, valid = state_of(run)
    return certificate if valid else None


def stale_warnings(run: Run) -> list[str]:
    """Return a warning where a run has a certificate that is not valid for its present pairs."""
    certificate, valid = state_of(run)
    if certificate is None or valid:
        return []
    return [f"{_no_longer_valid(certificate)}; no row is marked as certified: certify the run again"]


def _no_longer_valid(certificate: Certificate) -> str:
    return (
        f"the certificate of {certificate.made[:10]} is not valid any more, because the run has other pairs or "
        "probabilities now"
    )
