"""`rlaif certify`: keep the pairs of a run whose labels people agree with, and draw the sample that people label."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.options import Json
from rlaif.datasets.export import export_trl
from rlaif.errors import NotCertifiedError, UsageError
from rlaif.evaluate.certify import Terms, attempt_of, certify
from rlaif.evaluate.label_plan import plan
from rlaif.evaluate.label_sample import SampleRow, fill_in, sample_rows, write_sample
from rlaif.evaluate.peoples_labels import PeoplesLabels, read_labels
from rlaif.runs.certificate import (
    CERTIFICATE,
    Certificate,
    certificate_words,
    percent,
    read_certification,
    record_attempt,
    shares_of_tags,
)
from rlaif.runs.directory import locked
from rlaif.runs.reader import Run
from rlaif.runs.rows import PreferenceRow
from rlaif.text.wording import counted


def certify_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    run: Annotated[Path, typer.Argument(help="A finished run directory.")],
    gold: Annotated[Path | None, typer.Option(help="People's labels: the labelled sample, or gold labels.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Draw this many pairs to be labelled.")] = None,
    out: Annotated[Path | None, typer.Option(help="File of the sample: .csv or .jsonl.")] = None,
    error: Annotated[float, typer.Option(help="Largest share of kept labels with which people disagree.")] = 0.10,
    confidence: Annotated[float, typer.Option(help="Confidence of the claim.")] = 0.95,
    min_p: Annotated[
        float, typer.Option(min=0, max=1, help="Draw the sample from pairs with a p_chosen of at least this.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    json_: Json = False,
) -> None:
    """Keep the pairs of a run of which, with confidence, at most a share of --error disagrees with people.

    Without --gold and --sample: how many labels are needed. With --sample: draw pairs to be labelled; write 1, 2 or tie
    into the column `label`. With --gold: certify, and write certificate.json and the column `certified` of the dataset.
    A tie is a disagreement. What the claim means, and what it needs: docs/certify.md.

    \b
    Examples:
      rlaif certify runs/first --error 0.1
      rlaif certify runs/first --sample 200 --out labels.csv
      rlaif certify runs/first --sample 200 --min-p 0.85 --out labels.csv       # only pairs that may be kept
      rlaif certify runs/first --gold labels.csv --error 0.1 --confidence 0.95
      rlaif certify runs/first --sample 400 --gold labels.csv --out more.csv    # 200 more, labels taken over
      rlaif train dpo runs/first --certified --model Qwen/Qwen3-8B --out models/first
    """
    terms = _terms(error, confidence)
    if sample is not None:
        sample_job(run, sample_rows_of(run, sample, seed, min_p), out, gold, as_json=json_)
    elif out is not None:
        raise UsageError("--out is the file of a sample; give its size with --sample")
    elif gold is not None:
        certify_job(run, gold, terms, as_json=json_)
    else:
        plan_job(run, terms, as_json=json_)


def _terms(error: float, confidence: float) -> Terms:
    if not 0 < error < 0.5:
        raise UsageError(f"--error {error:g}: must be above 0 and below 0.5")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence {confidence:g}: must be at least 0.5 and below 1")
    return Terms(error, confidence)


def certify_job(path: Path, gold: Path, terms: Terms, *, as_json: bool) -> None:
    """Certify a run, write its certificate and dataset, and print the claim. Raises NotCertifiedError, GoldError."""
    run = Run(path)
    with locked(path):
        rows = _rows(run)
        labels = read_labels(gold, rows)
        certificate = _certified(run, rows, labels, terms)
        export_trl(Run(path), path / "dataset")
    if as_json:
        print(certificate.model_dump_json())
        return
    for line in certificate_lines(certificate, labels):
        print(line)
    print(f"certificate  {path / CERTIFICATE}   (column `certified` in {path / 'dataset'})")


def _certified(run: Run, rows: list[PreferenceRow], labels: PeoplesLabels, terms: Terms) -> Certificate:
    """Return the certificate and record the attempt; also a failed one is recorded, and its column written."""
    try:
        certificate = certify(rows, labels, terms, read_certification(run.path).attempts)
    except NotCertifiedError as error:
        withdrawn = record_attempt(run.path, attempt_of(rows, labels, terms, 0), None)
        if not withdrawn:
            raise
        export_trl(Run(run.path), run.path / "dataset")
        raise NotCertifiedError(f"{error}. The earlier certificate is withdrawn") from None
    record_attempt(run.path, attempt_of(rows, labels, terms, certificate.kept), certificate)
    return certificate


def certificate_lines(certificate: Certificate, labels: PeoplesLabels) -> list[str]:
    """Return what was certified, from what, and for each tag."""
    share = certificate.disagreements / certificate.kept_labels if certificate.kept_labels else 0.0
    lines = [
        f"certified  {certificate_words(certificate)}",
        f"           from {counted(certificate.labels, 'label')}: {certificate.kept_labels} are of kept pairs, and "
        f"people disagree with {certificate.disagreements} of these ({share:.1%}); {counted(certificate.ties, 'tie')}",
    ]
    if labels.open:
        lines.append(f"           {counted(labels.open, 'pair')} at the end of the sample not labelled yet")
    if certificate.tags:
        lines.append("by tag, all of them together with that confidence:")
        lines += [f"           {line}" for line in shares_of_tags(certificate.tags)]
    return lines


def sample_rows_of(path: Path, size: int, seed: int, min_p: float) -> list[SampleRow]:
    """Draw the pairs of a run that are to be labelled."""
    return sample_rows(_rows(Run(path)), size, seed, min_p)


def sample_job(path: Path, sample: list[SampleRow], out: Path | None, labelled: Path | None, *, as_json: bool) -> None:
    """Write a sample for people to label; with `labelled`, its labels are filled in."""
    if out is None:
        raise UsageError("--sample needs --out, the file to be labelled: .csv or .jsonl")
    known = 0
    if labelled is not None:
        sample, known = fill_in(sample, labelled)
    write_sample(out, sample)
    pairs = len({row["id"] for row in sample})
    if as_json:
        print(json.dumps({"file": str(out), "pairs": pairs, "labelled": known}))
        return
    print(f"{out}   ({counted(pairs, 'pair')} in random order" + (f", {known} labelled already)" if known else ")"))
    print("label every pair: write 1 or 2, the number of the better response, or tie into the column `label`")
    print(f"next     rlaif certify {path} --gold {out}")


def plan_job(path: Path, terms: Terms, *, as_json: bool) -> None:
    """Print how many labels are needed, and what numbers of labels are expected to give."""
    found = plan(_rows(Run(path)), terms)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(
        f"at least {found.fewest} labels, none of them a disagreement, show that at most {percent(terms.error)} of the "
        f"kept labels disagree with people's, with {percent(terms.confidence)} confidence"
    )
    print(f"expected share of the {counted(found.pairs, 'pair')} of {path} that is kept, if their p_chosen is right:")
    print(f"  labels   drawn from all pairs   from those with p_chosen at least {found.min_p:.3f}")
    for one in found.expected:
        print(
            f"  {one.labels:6,}   {one.kept:4.0%} (any: {one.certified:4.0%})       "
            f"{one.kept_focused:4.0%} (any: {one.certified_focused:4.0%})"
        )
    print(f"  all      {found.all_labelled:4.0%}     (any: how often anything can be certified at all)")
    enough = next((one for one in found.expected if one.certified_focused >= USEFUL), found.expected[-1])
    print(f"next     rlaif certify {path} --sample {enough.labels} --min-p {found.min_p:.3f} --out labels.csv")


USEFUL = 0.8
"""Probability of a certificate from which a number of labels is proposed."""


def _rows(run: Run) -> list[PreferenceRow]:
    rows = list(run.preference_rows())
    if not rows:
        raise UsageError(f"{run.path} has no pairs; see `rlaif show {run.path}`")
    return rows
