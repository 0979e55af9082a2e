"""Responses that were asked again under a larger limit, because they had been cut off."""

from collections.abc import Iterator
from dataclasses import dataclass

from rlaif.records import Trace
from rlaif.text.wording import counted


@dataclass
class AgainCounts:
    """Counts over the responses of a run that were asked again."""

    repeated: int = 0
    """They begin with the text that was cut off."""
    redrawn: int = 0
    """They are another text."""

    def add(self, trace: Trace) -> None:
        """Count the responses of one prompt."""
        self.repeated += sum(response.again == "repeated" for response in trace.responses)
        self.redrawn += sum(response.again == "redrawn" for response in trace.responses)

    def warnings(self) -> Iterator[str]:
        """Yield what the redrawn responses do to the run, and what to do."""
        if self.redrawn:
            yield (
                f"{self.redrawn} of {counted(self.repeated + self.redrawn, 'response')} that had been cut off were "
                "drawn anew, because the server did not write the same text again and go on: a long text was replaced "
                "by one of any length, so long responses are rarer than the model writes them; another seed or reply "
                "store draws all of them under the larger limit"
            )
