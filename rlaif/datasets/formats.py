"""The formats of an export: their tables, and the rows of each table.

A new format is a class of rows and one line in `FORMATS`; CONTRIBUTING.md has an example. Formats for other trainers
have the columns that the trainer documents. Every row also has `prompt_id`, by which it is found in the run and put in
the train or the test split; trainers ignore columns that they do not know.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from rlaif.records import Message, Probability, Record
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import ReviewedRow
from rlaif.runs.rows import Concluded, PairRow, PreferenceRow, RevisionRow, Row
from rlaif.stats.log_odds import log_odds


@dataclass(frozen=True)
class Table:
    """One table of a dataset."""

    row: type[Row]
    """The class of its rows; the fields are the columns."""
    rows_of: Callable[[Run], Iterable[Row]]
    of_pairs: bool = False
    """Whether the rows are made of `run.preference_rows()`, so that they can be the certified ones only."""


@dataclass(frozen=True)
class Format:
    """The files of an export."""

    suffix: Literal["parquet", "jsonl"]
    tables: Mapping[str, Table]
    """By the subfolder of their files; "" is the folder of the export itself."""


class RowOfPair(Row):
    """A row that is made of one pair of responses."""

    @classmethod
    @abstractmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the rows of a pair, one or more."""


class UltrafeedbackRow(RowOfPair):
    """A pair in the layout of UltraFeedback's binarised release (HuggingFaceH4/ultrafeedback_binarized)."""

    prompt: str
    """The last turn of the user."""
    prompt_id: str
    """Id of the prompt."""
    chosen: tuple[Message, ...]
    """The conversation with the better response."""
    rejected: tuple[Message, ...]
    """The conversation with the worse response."""
    messages: tuple[Message, ...]
    """Equal to `chosen`, for supervised fine-tuning."""
    score_chosen: float
    """Strength of the chosen response (Bradley-Terry), in logits above the mean of the prompt's candidates."""
    score_rejected: float
    """Strength of the rejected response, in logits."""
    p_chosen: Probability
    """Probability that `chosen` is the better response."""

    @classmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the row of a pair."""
        chosen, rejected = (pair.prompt + pair.chosen, pair.prompt + pair.rejected)
        yield cls(
            prompt=pair.prompt[-1].content,
            prompt_id=pair.prompt_id,
            chosen=chosen,
            rejected=rejected,
            messages=chosen,
            score_chosen=pair.score_chosen,
            score_rejected=pair.score_rejected,
            p_chosen=pair.p_chosen,
        )


class KtoRow(RowOfPair):
    """A response and whether it is desirable; two rows for each pair.

    TRL's unpaired preference type (huggingface.co/docs/trl/dataset_formats, huggingface.co/docs/trl/kto_trainer).
    """

    prompt: tuple[Message, ...]
    """The conversation before the response."""
    completion: tuple[Message, ...]
    """The response, as one turn of the assistant."""
    label: bool
    """True for the chosen response, false for the rejected one."""
    prompt_id: str
    """Id of the prompt."""

    @classmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the two rows of a pair."""
        for completion, label in ((pair.chosen, True), (pair.rejected, False)):
            yield cls(prompt=pair.prompt, completion=completion, label=label, prompt_id=pair.prompt_id)


class RewardRow(RowOfPair):
    """Whole conversations and a margin.

    TRL's preference type with implicit prompt (huggingface.co/docs/trl/dataset_formats), and the `margin` column that
    its RewardTrainer subtracts from the difference of scores (huggingface.co/docs/trl/reward_trainer).
    """

    chosen: tuple[Message, ...]
    """The conversation with the better response."""
    rejected: tuple[Message, ...]
    """The conversation with the worse response."""
    margin: float
    """Log-odds of `p_chosen`, between -4 and 4: the difference of scores that the model should learn."""
    prompt_id: str
    """Id of the prompt."""

    @classmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the row of a pair."""
        chosen, rejected = (pair.prompt + pair.chosen, pair.prompt + pair.rejected)
        yield cls(chosen=chosen, rejected=rejected, margin=log_odds(pair.p_chosen), prompt_id=pair.prompt_id)


class OpenRlhfRow(PairRow, RowOfPair):
    """The prompt and both responses as messages, and a margin for the reward model's loss.

    For `--prompt_key prompt --chosen_key chosen --rejected_key rejected --apply_chat_template`, as OpenRLHF's README
    names them for DPO and reward models; its openrlhf/datasets/reward_dataset.py joins prompt and response and reads
    `margin`.
    """

    margin: float
    """Log-odds of `p_chosen`, between -4 and 4."""
    prompt_id: str
    """Id of the prompt."""

    @classmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the row of a pair."""
        turns = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
        yield cls(**turns, margin=log_odds(pair.p_chosen), prompt_id=pair.prompt_id)


class RankedCompletion(Record):
    """A response and its rank, 0 the better one."""

    rank: int
    completion: tuple[Message, ...]


class NemoRlRow(RowOfPair):
    """The conversation and its two completions by rank.

    NeMo RL's PreferenceDataset, for DPO and reward models (docs.nvidia.com/nemo/rl/latest/guides/dpo.html).
    """

    context: tuple[Message, ...]
    """The conversation before the response."""
    completions: tuple[RankedCompletion, ...]
    """The better response with rank 0 and the worse one with rank 1."""
    prompt_id: str
    """Id of the prompt."""

    @classmethod
    def of(cls, pair: PreferenceRow) -> Iterator[Self]:
        """Yield the row of a pair."""
        ranked = tuple(
            RankedCompletion(rank=rank, completion=turns) for rank, turns in enumerate((pair.chosen, pair.rejected))
        )
        yield cls(context=pair.prompt, completions=ranked, prompt_id=pair.prompt_id)


class RankedAnswer(Record):
    """A response, the model that wrote it, and its rank, 1 the best."""

    answer: str
    model: str
    rank: float


class RankingRow(Row):
    """All ranked responses of one prompt.

    Nectar's layout, for reward models that learn from whole rankings (huggingface.co/datasets/berkeley-nest/Nectar).
    """

    prompt: str
    """The conversation before the response, as one text."""
    answers: tuple[RankedAnswer, ...]
    """The responses, the best one (rank 1) first; equal scores share a rank."""
    turns: int
    """Number of the user's turns in the prompt."""
    num_responses: int
    """Number of ranked responses."""
    source: list[str]
    """Source of the row: always `rlaif`."""
    prompt_id: str
    """Id of the prompt."""


def ranking_rows(concluded: Concluded) -> Iterator[RankingRow]:
    """Yield one row for each prompt with at least two scored responses."""
    for trace, conclusion in concluded:
        scores = conclusion.scores
        if len(scores) < 2:
            continue
        turns = trace.prompt.messages
        answers = tuple(
            RankedAnswer(
                answer=trace.response(name).text,
                model=trace.response(name).model,
                rank=1 + sum(other > scores[name] for other in scores.values()),
            )
            for name in sorted(scores, key=lambda name: (-scores[name], name))
        )
        yield RankingRow(
            prompt="".join(map(_as_said, turns)) + "\n\nAssistant: ",
            tools=trace.prompt.tools,
            conversation=None if trace.prompt.given is None else trace.prompt.conversation,
            answers=answers,
            turns=sum(turn.role == "user" for turn in turns),
            num_responses=len(answers),
            source=["rlaif"],
            prompt_id=trace.prompt.id,
        )


def _as_said(turn: Message) -> str:
    return f"\n\n{'Human' if turn.role == 'user' else turn.role.capitalize()}: {turn.readable}"


def shared(row: Row) -> dict[str, str | None]:
    """Return the columns that all tables have, where any row has a value."""
    return {name: getattr(row, name) for name in Row.model_fields}


def _of_pairs(row: type[RowOfPair]) -> Table:
    def rows_of(run: Run) -> Iterator[Row]:
        for pair in run.preference_rows():
            yield from (one.model_copy(update=shared(pair)) for one in row.of(pair))

    return Table(row, rows_of, of_pairs=True)


PREFERENCE = Table(PreferenceRow, lambda run: run.preference_rows(), of_pairs=True)
SFT = Table(RevisionRow, Run.revision_rows)
TRL = Format("parquet", {"preference": PREFERENCE, "sft": SFT})
FORMATS: Mapping[str, Format] = {
    "trl": TRL,
    "sft": Format("parquet", {"sft": SFT}),
    "ultrafeedback": Format("parquet", {"": _of_pairs(UltrafeedbackRow)}),
    "jsonl": Format("jsonl", {"preference": PREFERENCE, "sft": SFT}),
    "kto": Format("parquet", {"": _of_pairs(KtoRow)}),
    "reward": Format("parquet", {"": _of_pairs(RewardRow)}),
    "ranking": Format("parquet", {"": Table(RankingRow, lambda run: ranking_rows(run.conclusions()))}),
    "openrlhf": Format("jsonl", {"": _of_pairs(OpenRlhfRow)}),
    "nemo-rl": Format("jsonl", {"": _of_pairs(NemoRlRow)}),
}
"""All formats, by the value of `rlaif export --format`."""


def with_votes(format_: Format) -> Format:
    """Return a format whose tables of pairs have the columns of a reviewed run."""
    tables = {
        name: replace(table, row=ReviewedRow) if table is PREFERENCE else table
        for name, table in format_.tables.items()
    }
    return replace(format_, tables=tables)
