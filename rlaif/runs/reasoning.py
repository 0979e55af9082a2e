"""What reasoning did to a run: responses and critiques cut off inside it, responses that still contain it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rlaif.records import Trace
from rlaif.text.wording import counted

TAGS = re.compile(r"</?think(?:ing)?>|\[/?THINK\]|<\|(?:begin|end)_of_thought\|>|<\|channel\|>")
"""Marks of reasoning in a text, as models write them that a server has no reasoning parser for."""
SHORTER = "or switch reasoning off (chat_template_kwargs: {enable_thinking: false})"


@dataclass
class ReasoningCounts:
    """Counts over the responses and critiques of a run."""

    responses: int = 0
    cut: int = 0
    """Responses that ended at max_tokens inside their reasoning, so that they have no text."""
    critiques_cut: int = 0
    """Critiques that have reasoning and no text; nothing was revised after them."""
    tagged: int = 0
    """Responses with tags of reasoning in their text, which their prompt does not contain."""

    def add(self, trace: Trace) -> None:
        """Count the responses and critiques of one prompt."""
        asked = any(TAGS.search(message.content) for message in trace.prompt.messages)
        for response in trace.responses:
            self.responses += 1
            self.cut += response.cut_in_reasoning
            self.tagged += not asked and TAGS.search(response.text) is not None
        self.critiques_cut += sum(critique.cut_in_reasoning for critique in trace.critiques)

    def warnings(self) -> Iterator[str]:
        """Yield what the reasoning does to the run, and what to do."""
        if self.cut:
            yield (
                f"{self.cut} of {counted(self.responses, 'response')} ended at max_tokens inside their reasoning and "
                f"were not compared; raise sampling.max_tokens and revision.max_tokens, {SHORTER}"
            )
        if self.critiques_cut:
            yield (
                f"{counted(self.critiques_cut, 'critique')} ended inside the critic's reasoning, so nothing was "
                f"revised after them; raise revision.critique_max_tokens, {SHORTER}"
            )
        if self.tagged:
            yield (
                f"{self.tagged} of {counted(self.responses, 'response')} have tags of reasoning (such as <think>) in "
                "their text, so it is judged and trained on as part of the response; start the server with a reasoning "
                "parser (vLLM: --reasoning-parser NAME) and make the run again with another --out and --cache"
            )
