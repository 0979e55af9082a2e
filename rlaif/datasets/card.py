"""The dataset card: the constitution, the models, the method, what was left out, and the limits."""

from collections.abc import Mapping

from huggingface_hub import DatasetCard

from rlaif.config.run import RunConfig
from rlaif.config.sampling import CONSTITUTION
from rlaif.datasets.card_head import LEAST_SHARE, Contents, card_head, prompts_name
from rlaif.datasets.columns import column_table
from rlaif.datasets.formats import Table
from rlaif.runs.certificate import Certificate, certificate_words, shares_of_tags
from rlaif.runs.certified import CertifiedRun, certificate_in_force
from rlaif.runs.description import (
    corrected_words,
    drawn_lines,
    given_lines,
    given_words,
    judge_words,
    panel_words,
    people_words,
    policy_lines,
    sampling_words,
    strategy_words,
)
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import People, ReviewedRun
from rlaif.runs.summary import Summary
from rlaif.text.inert import inert, inert_code


def dataset_card(run: Run, summary: Summary, contents: Contents, tables: Mapping[str, Table]) -> str:
    """Return the card as Markdown with a YAML head."""
    reviewed = run.people if isinstance(run, ReviewedRun) else None
    certificate = None if reviewed else certificate_in_force(run)
    body = "\n\n".join(
        [
            f"# Preference pairs under the constitution `{inert_code(run.constitution.name)}`",
            _intro(run, summary, certificate),
            *([_warnings(summary)] if summary.warnings else []),
            _rows_table(contents.counts, "their turns" if summary.given else "their id")
            + _languages(contents.languages),
            *(["## Certificate\n\n" + _certificate(run, certificate)] if certificate else []),
            *(["## People\n\n" + _people(reviewed)] if reviewed else []),
            "## Constitution\n\n" + _rules(run),
            "## How it was made\n\n" + _method(run, summary),
            *(["## The policies\n\n" + _policies(run, summary)] if summary.policies else []),
            "## What was left out\n\n" + _left_out(summary),
            "## The critic\n\n" + _critic(summary),
            "## Columns\n\n" + _columns(tables, contents),
            "## Limits\n\n"
            + _LIMITS.format(
                these="Where people did not decide (see People), these" if reviewed else "These",
                checked=_checked(summary, certificate),
            ),
        ]
    )
    return str(DatasetCard(f"---\n{card_head(run, contents, tables).to_yaml()}\n---\n\n{body}\n"))


UNUSED_CONSTITUTION = (
    "\n\n> **These labels do not depend on the constitution**: the judges rate responses without its principles. "
    "It was used for critiques and revisions only."
)


def _intro(run: Run, summary: Summary, certificate: Certificate | None) -> str:
    models = run.models
    people = (
        ("No person has labelled or checked these pairs." if summary.given is None else _OF_A_FILE)
        if certificate is None
        else f"People have labelled {certificate.labels} of these pairs (see Certificate)."
    )
    if isinstance(run, ReviewedRun):
        people = f"People decided {run.people.by_people} of these pairs (see People)."
    unused = "" if run.config.judging.asks_rules or not run.config.judging.panel else UNUSED_CONSTITUTION
    written_by = f"by **{inert(models.written_by)}**" if summary.given is None else "from that file"
    return (
        f"{summary.pairs} pairs from {summary.traces} of {summary.prompts} prompts ({inert(prompts_name(run))}). "
        f"Responses {written_by}, judged by **{inert(run.judged_with)}** under {inert(summary.constitution)} "
        f"(`{summary.constitution_hash}`), made with rlaif {run.manifest.rlaif} on {run.manifest.created[:10]}, seed "
        f"{run.config.seed}. {people}{unused}{_root(summary)}"
    )


def _root(summary: Summary) -> str:
    return f"\n\nHash of the run's records: `{summary.root}`; `rlaif runs verify` computes it again." * bool(
        summary.root
    )


_OF_A_FILE = (
    "The labels are the judges', not those of the file, which are in the column `given_label` where it has any; no "
    "person has checked where the two differ."
)


def _warnings(summary: Summary) -> str:
    return "\n".join(["> **Warning**", ">", *(f"> - {inert(warning)}" for warning in summary.warnings)])


def _certificate(run: Run, certificate: Certificate) -> str:
    only = " This dataset has only those." if isinstance(run, CertifiedRun) else " They have `certified` true."
    tags = "".join(f"\n- {line}" for line in shares_of_tags(certificate.tags))
    drawn_from = f"the run's {certificate.rows}"
    if certificate.min_p:
        drawn_from = f"those of the run's with p_chosen at least {certificate.min_p:g}"
    by_tag = f"\n\nBy tag, each with its own threshold, all together with that confidence:\n{tags}" if tags else ""
    return (
        f"People labelled {certificate.labels} pairs that were drawn at random from {drawn_from}. Kept "
        f"are {certificate_words(certificate)}.{only} People disagree with {certificate.disagreements} of the "
        f"{certificate.kept_labels} labelled pairs among the kept ones; a tie counts as a disagreement. The claim is "
        "about these pairs as a whole, not about any single one, and holds for no other prompts. Labels: hash "
        f"`{certificate.gold_hash}`.{by_tag}"
    )


def _people(people: People) -> str:
    return (
        f"{people_words(people)[0].upper()}{people_words(people)[1:]}. A pair has people's label (`p_chosen_from` is "
        "`people`) where more than half of the votes name one response; a tie is a vote, who cannot tell has none. "
        "`p_chosen` is then the probability that another person prefers `chosen`: (k + a) / (n + 2a) with k of n votes "
        f"for it, a tie counting half, and a = (1 - A) / (2A - 1) for A = {people.agreement_used:.3f}, at which two "
        "people prefer the same response. It holds on average over the pairs that were reviewed, many of which were "
        f"chosen because they are doubtful. Verdicts: hash `{people.verdicts}`."
    )


def _rows_table(counts: Mapping[str, int], key: str) -> str:
    lines = [
        "| config / split | rows |",
        "|---|---|",
        *(f"| {name} | {rows} |" for name, rows in counts.items()),
    ]
    return (
        "\n".join(lines) + f"\n\nPrompts are split by a hash of {key}, so the same prompt is in the same split in "
        "every run with this test fraction."
    )


def _languages(shares: Mapping[str, float]) -> str:
    """Return a paragraph on the languages of the rows; empty where none was found."""
    if not shares:
        return ""
    shown = ", ".join(f"{code} {share:.1%}" for code, share in shares.items() if share >= LEAST_SHARE)
    others = 1 - sum(share for share in shares.values() if share >= LEAST_SHARE)
    rest = f", others or none {others:.1%}" if others > 0.0005 else ""
    return f"\n\nLanguages of the rows, by a classifier that is often wrong on short texts (py3langid): {shown}{rest}."


def _rules(run: Run) -> str:
    constitution = run.constitution
    after = "".join(f"\n- {inert(work)}" for work in constitution.after)
    rules = "\n".join(
        f"- **{inert(p.id)}** (weight {p.weight:g}): {inert(p.decides_by or p.critique or '')}"
        for p in constitution.principles
    )
    return f"{inert(constitution.description)}\n\n{rules}" + (f"\n\nBased on published work:\n{after}" if after else "")


def _method(run: Run, summary: Summary) -> str:
    config = run.config
    judged = (
        "every principle"
        if config.judging.principles == "all"
        else f"{config.judging.principles} principles drawn per prompt"
    )
    orders = "in both orders, averaged in logits" if config.judging.orders == "both" else "**in one order only**"
    how = orders if config.judging.has_order else "each response by itself"
    asked = f"{judged}, {how}" if config.judging.asks_rules else "each response by itself, without principles"
    return "\n".join(
        [
            _sampled(run, summary),
            f"- Revised: {config.revision.rounds} round(s) of critique and revision by the {config.revision.by}, "
            f"{config.revision.principles} principle(s) drawn for each.",
            f"- Judged: {asked}; {strategy_words(config.judging)}.",
            *(f"  - {inert(judge_words(judge))}." for judge in config.judging.panel),
            *(f"- Corrected: {words}." for words in corrected_words(summary.corrected)),
            f"- Paired: {config.pairs.select}; {_thresholds(config)}.",
            f"- Templates: {', '.join(f'{name} `{digest}`' for name, digest in run.manifest.templates.items())}.",
        ]
    )


def _sampled(run: Run, summary: Summary) -> str:
    if summary.given is not None:
        return f"- Responses: {inert(given_words(summary.given.file))}. Their `origin` is `given`."
    asked = "; ".join(inert(sampling_words(one)) for one in run.config.sampled_by)
    return f"- Sampled: {asked}; {summary.truncated} responses were cut there."


def _thresholds(config: RunConfig) -> str:
    noise = "order noise allowed" if config.judging.allow_order_noise else "order noise abstains"
    return (
        f"margin at least {config.judging.min_margin:g}, label mass at least {config.judging.min_label_mass:g}, {noise}"
    )


def _policies(run: Run, summary: Summary) -> str:
    own = [(one.name, one.system) for one in run.config.policies if one.system not in {None, CONSTITUTION}]
    lines = [
        f"- System prompt of {inert(name)}, which is not part of `prompt`: “{inert(system or '')}”"
        for name, system in own
    ]
    lines += [f"- {inert(line)}." for wins in summary.policies for line in policy_lines(wins)]
    return "\n".join(lines)


def _left_out(summary: Summary) -> str:
    lines = [
        *(f"- {inert(line)}." for line in given_lines(summary)),
        f"- {summary.matchups} matchups: {summary.decided} decided, "
        f"{summary.matchups - summary.decided} abstained{_reasons(summary.abstained)}.",
        *(f"- {line}." for line in drawn_lines(summary)),
        f"- {summary.traces} traces: {summary.traces - sum(summary.traces_without_pair.values())} with a pair, "
        f"{sum(summary.traces_without_pair.values())} without{_reasons(summary.traces_without_pair)}.",
        f"- {summary.pairs_by_checks} of {summary.pairs} pairs are decided by checks alone.",
        f"- Responses not compared: {sum(summary.dropped.values())}{_reasons(summary.dropped)}.",
        f"- {summary.failures} prompts failed{_reasons(summary.failure_reasons)}, {summary.open} were not reached.",
    ]
    return "\n".join(lines)


def _critic(summary: Summary) -> str:
    critic = summary.critic
    if critic.label_mass is None and not (summary.panel or summary.judged_otherwise):
        return "No verdicts." + (" Only checks were used." if summary.matchups else "")
    lines = []
    if critic.label_mass is not None:
        lines.append(f"- {critic.verdicts} verdicts; mean probability on the two labels {critic.label_mass:.1%}.")
    if critic.turned is not None:
        lines.append(f"- {critic.turned:.1%} of its verdicts change with the order of the responses.")
    if critic.overall is not None:
        ends = "" if critic.overall_interval is None else critic.overall_interval.ends_or_reason("+.2f")
        lines.append(
            f"- Position bias {critic.overall:+.2f} logits{ends} for the response shown first (cancelled in p_chosen)."
        )
    if summary.length is not None and summary.length.linear.value is not None:
        effect = summary.length.linear
        lines.append(
            f"- Length: {effect.value:+.2f} logits{effect.ends_or_reason('+.2f')} per unit of log length ratio, not "
            "controlled for quality: longer responses may be better ones."
        )
    if summary.conflicts:
        lines.append(f"- In {summary.conflicts} labels, a principle on its own would choose the other response.")
    lines += [f"- {inert(words)}." for words in panel_words(summary.panel)] if summary.panel else []
    lines += [f"- Note: {inert(note)}." for note in summary.notes]
    if summary.revision_wins is not None:
        lines.append(f"- A revision beats its parent with a mean probability of {summary.revision_wins:.1%}.")
    return "\n".join(lines)


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{inert(reason)} {count}' for reason, count in sorted(counts.items()))})" if counts else ""


def _columns(tables: Mapping[str, Table], contents: Contents) -> str:
    tools, also = contents.tools, contents.also
    return "\n\n".join(
        f"### `{name}`\n\n{column_table(table.row, tools=tools, also=also)}" for name, table in tables.items()
    )


def _checked(summary: Summary, certificate: Certificate | None) -> str:
    """Return the clause about the data on which the probabilities were calibrated, if any."""
    if summary.corrected.recalibrator is None and certificate is not None:
        return "; the certificate is about the labels, not about these probabilities"
    if summary.corrected.recalibrator is None:
        return "; it is not calibrated against people"
    return " after its recalibration on labelled items, which may not hold for these prompts"


_LIMITS = """{these} labels are the judgements of models under one constitution; they are neither human preferences nor
facts about right and wrong. `p_chosen` is only as well calibrated as the critic{checked}.
Principles written in one language by one group carry that group's values. Prompts may contain harmful requests, and
responses may comply with them."""
