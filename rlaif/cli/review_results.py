"""`rlaif review RUN --results`: print what the reviewers of a run say, and write it as gold labels."""

import json
from pathlib import Path

from rlaif.errors import UsageError
from rlaif.evaluate.review_files import write_gold, write_labels
from rlaif.evaluate.review_plan import read_plan
from rlaif.evaluate.review_results import Reviewer, ReviewResults, review_results
from rlaif.runs.reader import Run
from rlaif.runs.reviews import read_reviews
from rlaif.stats.estimates import Estimate
from rlaif.text.wording import counted


def results_job(path: Path, gold: Path | None, labels: Path | None, *, as_json: bool) -> None:
    """Print the results of a run's review; with files, write its gold labels and its labels for a certificate."""
    rows = list(Run(path).preference_rows())
    reviews, plan = read_reviews(path), read_plan(path)
    if plan is None or not reviews:
        raise UsageError(f"{path} has not been reviewed: rlaif review {path} --reviewer NAME")
    results = review_results(rows, reviews, plan)
    written = {
        str(file): write(file, rows, reviews, plan)
        for file, write in ((gold, write_gold), (labels, write_labels))
        if file is not None
    }
    if as_json:
        print(json.dumps(results.model_dump(mode="json") | {"files": written}, ensure_ascii=False))
        return
    for line in result_lines(results):
        print(line)
    for warning in results.warnings:
        print(f"! {warning}")
    if gold is not None:
        print(f"gold     {gold}   ({counted(written[str(gold)], 'label')}; rlaif evaluate judge --gold {gold})")
    if labels is not None:
        print(f"labels   {labels}   ({counted(written[str(labels)], 'pair')}; rlaif certify {path} --gold {labels})")


def result_lines(found: ReviewResults) -> list[str]:
    """Return counts, agreement of the reviewers, and agreement with the critic."""
    foreign = f"; {counted(found.not_of_the_run, 'reviewed pair')} not of the run now" if found.not_of_the_run else ""
    return [
        f"reviewed   {found.reviewed} of {found.planned} planned of {counted(found.pairs, 'pair')}; random share "
        f"{found.random_reviewed} of {found.random_planned}{foreign}",
        f"labels     {found.decided} by more than half of the votes, {found.undecided} by none, "
        f"{found.without_vote} without a vote; {found.overturned} against the critic",
        *(line for name, one in found.reviewers.items() for line in _reviewer_lines(name, one)),
        *(_agreement_lines(found) if found.reviewed_by_several else []),
        _critic_line(found),
    ]


def _agreement_lines(found: ReviewResults) -> list[str]:
    measured = ((found.alpha, found.same), (found.alpha_random, found.same_random))
    every, random = (
        f"alpha {_number(alpha, '.2f')}, the same verdict in {_number(same, '.0%')}, on "
        f"{counted(int(alpha.n), 'pair')} with two votes or more"
        for alpha, same in measured
    )
    return [f"agreement  {every}", f"           random share: {random}"]


def _critic_line(found: ReviewResults) -> str:
    expected = "" if found.agrees_expected is None else f"; its p_chosen says {found.agrees_expected:.0%}"
    return (
        f"critic     people agree with {_number(found.agrees, '.0%')} of its labels in the random share "
        f"({int(found.agrees.n)} with a people's label, {found.random_undecided} without){expected}"
    )


def _reviewer_lines(name: str, one: Reviewer) -> list[str]:
    seconds = "" if one.median_seconds is None else f", median {one.median_seconds:.0f} s"
    with_others = _number(one.agrees_with_others, ".0%")
    others = "" if one.agrees_with_others.value is None else f"with the others in {with_others}, "
    return [
        f"reviewer   {name}: {counted(one.verdicts, 'verdict')} (1: {one.first}, 2: {one.second}, tie: {one.ties}, "
        f"can't tell: {one.cannot_tell}), {one.words} with words{seconds}",
        f"           agrees {others}with the critic in {_number(one.agrees_with_critic, '.0%')} of the random share",
    ]


def _number(estimate: Estimate, form: str) -> str:
    return "-" if estimate.value is None else f"{estimate.value:{form}}{estimate.ends_or_reason(form)}"
