"""A run of which only the certified pairs are read."""

from collections.abc import Iterator
from pathlib import Path

from rlaif.errors import UsageError
from rlaif.runs.certificate import Certificate, state_of
from rlaif.runs.reader import Run
from rlaif.runs.rows import PreferenceRow


class CertifiedRun(Run):
    """A run whose `preference_rows` are the certified ones. Raises UsageError without a valid certificate."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        certificate_in_force(self)

    def preference_rows(self) -> Iterator[PreferenceRow]:
        """Yield the certified pairs as rows of the dataset."""
        return (row for row in super().preference_rows() if row.certified)


def certificate_in_force(run: Run) -> Certificate:
    """Return the certificate that is valid for a run's present pairs. Raises UsageError where there is none."""
    certificate, valid = state_of(run.path, Run.preference_rows(run))
    again = f"run rlaif certify {run.path} --gold FILE"
    if certificate is None:
        raise UsageError(f"{run.path} has no certificate; {again}")
    if not valid:
        raise UsageError(
            f"{run.path}: its certificate of {certificate.made[:10]} is not valid any more, because the run has other "
            f"pairs or probabilities now; {again} again"
        )
    return certificate
