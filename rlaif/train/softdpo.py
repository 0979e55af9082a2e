"""DPO with soft labels: TRL's trainer, with a term for the labels added to its loss.

With p the probability that `chosen` is better, w the pair's weight, and m the margin in the loss L (for the sigmoid
loss, beta times the difference of the log-ratios; Rafailov et al. 2023, eq. 7), the loss of a pair is

    w (p L(m) + (1 - p) L(-m))

TRL computes the mean of L(m), and this module adds the difference, which is exactly zero where p and w are 1. Losses
that are not a function of one margin are refused. Imports torch and TRL.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional
from trl import DPOTrainer

from rlaif.errors import UsageError

LABEL = "p_chosen"
WEIGHT = "pair_weight"
MARGIN_LOSSES = ("sigmoid", "sigmoid_norm", "hinge", "ipo")
"""TRL's losses that are a function of one margin per pair."""
OTHER_TERMS = ("sft",)
"""Terms that may be combined with them; they use only the chosen response, so labels do not change them."""


class SoftDPOTrainer(DPOTrainer):  # type: ignore[misc]
    """TRL's DPO trainer for rows with `p_chosen` and, optionally, `pair_weight`."""

    data_collator: Any
    _signature_columns: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        _refuse_other_losses(self.loss_types, self)
        self.data_collator = LabelledPairs(self.data_collator)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if LABEL not in self._signature_columns:
            self._signature_columns = [*self._signature_columns, LABEL, WEIGHT]

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Return TRL's reference log-probabilities; the labels are not passed to the model."""
        return super().compute_ref_log_probs(model, _without_labels(inputs))

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:  # noqa: ANN401
        recording = _RecordingModel(model)
        result = super()._compute_loss(recording, _without_labels(inputs), return_outputs)
        if LABEL not in inputs:
            return result
        added = self._added(recording.per_token_logps, inputs)
        return (result[0] + added, result[1]) if return_outputs else result + added

    def _added(self, per_token_logps: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        """Return the scalar that the labels add to TRL's loss, summed over its loss types."""
        mask = inputs["completion_mask"]
        length = mask.shape[1] - 1
        ref = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        scores_2b = per_token_logps[:, -length:].sum(dim=1) - ref
        tokens_2b = mask.sum(dim=1).clamp(min=1.0)
        p_b = inputs[LABEL]
        w_b = inputs.get(WEIGHT, torch.ones_like(p_b))
        terms = zip(self.loss_types, self.loss_weights, strict=True)
        parts = [
            share * added_by_labels(loss_type, scores_2b, tokens_2b, self.beta, p_b, w_b).mean()
            for loss_type, share in terms
            if loss_type in MARGIN_LOSSES
        ]
        return torch.stack(parts).sum()


class LabelledPairs:
    """TRL's collator, which also puts the pairs' labels and weights into its batches."""

    def __init__(self, inner: Callable[[Sequence[dict[str, Any]]], dict[str, Any]]) -> None:
        self.inner = inner

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch of the examples, with their labels and weights as (b,) tensors."""
        batch = self.inner(examples)
        for name in (LABEL, WEIGHT):
            if name in examples[0]:
                batch[name] = torch.tensor([example[name] for example in examples], dtype=torch.float32)
        return batch


def added_by_labels(
    loss_type: str, scores_2b: torch.Tensor, tokens_2b: torch.Tensor, beta: float, p_b: torch.Tensor, w_b: torch.Tensor
) -> torch.Tensor:
    """Return the (b,) differences w (p L(m) + (1 - p) L(-m)) - L(m) of b pairs.

    `scores_2b` are the (2b,) log-ratios of policy to reference in nats, chosen responses first; `tokens_2b` are their
    lengths in tokens.
    """
    if loss_type in {"sigmoid_norm", "ipo"}:
        scores_2b = scores_2b / tokens_2b
    chosen_b, rejected_b = scores_2b.chunk(2)
    margin_b = chosen_b - rejected_b
    as_labelled_b = _loss(loss_type, margin_b, beta)
    flipped_b = _loss(loss_type, -margin_b, beta)
    return w_b * (p_b * as_labelled_b + (1 - p_b) * flipped_b) - as_labelled_b


def _loss(loss_type: str, margin_b: torch.Tensor, beta: float) -> torch.Tensor:
    match loss_type:
        case "sigmoid" | "sigmoid_norm":
            return -functional.logsigmoid(beta * margin_b)
        case "hinge":
            return torch.relu(1 - beta * margin_b)
        case "ipo":
            return (margin_b - 1 / (2 * beta)) ** 2
    raise AssertionError(loss_type)


def _refuse_other_losses(loss_types: Sequence[str], trainer: Any) -> None:  # noqa: ANN401
    other = [name for name in loss_types if name not in (*MARGIN_LOSSES, *OTHER_TERMS)]
    if other or not any(name in MARGIN_LOSSES for name in loss_types):
        raise UsageError(
            f"soft labels and margin weights need a loss of one margin ({', '.join(MARGIN_LOSSES)}); for "
            f"{', '.join(other or loss_types)}, train with --labels hard and --weights none"
        )
    for name, plain in (("ld_alpha", None), ("f_divergence_type", "reverse_kl"), ("use_weighting", False)):
        if getattr(trainer.args, name) != plain:
            raise UsageError(
                f"soft labels and margin weights cannot be combined with `{name}`; train with --labels hard"
            )
    if not trainer.precompute_ref_logps:
        raise UsageError("soft labels and margin weights need precompute_ref_log_probs; remove it from `trl:`")


def _without_labels(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in {LABEL, WEIGHT}}


class _RecordingModel:
    """Wraps the model that TRL calls, and stores the log-probabilities that its loss uses."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._model = model
        self.per_token_logps = torch.empty(0)

    def __call__(self, **inputs: Any) -> Any:  # noqa: ANN401
        outputs = self._model(**inputs)
        if inputs.get("fused_lm_head"):
            self.per_token_logps = outputs.log_probs
        return outputs
