"""How many responses of a run have reasoning, were cut off inside it, or still contain it in their text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rlaif.records import Trace
from rlaif.text.wording import counted

TAGS = re.compile(r"</?think(?:ing)?>|\[/?THINK\]|<\|(?:begin|end)_of_thought\|>|<\|channel\|>")
"""Marks of reasoning in a text, as models write them that a server has no reasoning parser for."""


@dataclass
class ReasoningCounts:
    """Counts over the responses of a run."""

    responses: int = 0
    reasoned: int = 0
    """Responses whose reasoning was separated from their text, by the server or here."""
    cut: int = 0
    """Responses that ended at max_tokens inside their reasoning, so that they have no text."""
    critiques_cut: int = 0
    """Critiques that ended inside their reasoning; nothing was revised after them."""
    tagged: int = 0
    """Responses with tags of reasoning in their text, which their prompt does not contain."""

    def add(self, trace: Trace) -> None:
        """Count the responses and critiques of one prompt."""
        asked = any(TAGS.search(message.content) for message in trace.prompt.messages)
        for response in trace.responses:
            self.responses += 1
            self.reasoned += bool(response.reasoning)
            self.cut += response.cut_in_reasoning
            self.tagged += not asked and TAGS.search(response.text) is not None
        self.critiques_cut += sum(critique.cut_in_reasoning for critique in trace.critiques)

    def notes(self, *, shown: bool, exported: bool) -> Iterator[str]:
        """Yield what became of the reasoning, where there is any."""
        if self.reasoned:
            judges = "shown to the judges" if shown else "not shown to the judges"
            dataset = "in the dataset as reasoning_content" if exported else "not in the dataset (pairs.reasoning)"
            yield f"{self.reasoned} of {counted(self.responses, 'response')} have reasoning: {judges}, {dataset}"

    def warnings(self) -> Iterator[str]:
        """Yield what the reasoning does to the run's responses, and what to do."""
        longer = "or switch reasoning off (chat_template_kwargs: {enable_thinking: false})"
        if self.cut:
            yield (
                f"{self.cut} of {counted(self.responses, 'response')} ended at max_tokens inside their reasoning and "
                f"were left out; raise sampling.max_tokens and revision.max_tokens, {longer}"
            )
        if self.critiques_cut:
            yield (
                f"{counted(self.critiques_cut, 'critique')} ended inside the critic's reasoning, so nothing was "
                f"revised after them; raise revision.critique_max_tokens, {longer}"
            )
        if self.tagged:
            yield (
                f"{self.tagged} of {counted(self.responses, 'response')} have tags of reasoning (such as <think>) in "
                "their text, so it is judged and trained on as part of the response; start the server with a reasoning "
                "parser (vLLM: --reasoning-parser NAME) and make the run again with another --out and --cache"
            )
