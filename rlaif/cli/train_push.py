"""`rlaif train ... --push NAME`: checked before the training, so that a night is not lost, and sent after it."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rlaif.cli.push import Where, publish, pushed_line
from rlaif.errors import HubError, UsageError

if TYPE_CHECKING:
    from rlaif.hub.repository import Target


@dataclass(frozen=True)
class TrainPush:
    """Where the trained model goes; nowhere without --push."""

    where: Where | None = None
    target: "Target | None" = None

    @classmethod
    def checked(cls, repo: str | None, *, private: bool) -> Self:
        """Ask the hub whether token and name are allowed. Raises HubError, UsageError."""
        if repo is None:
            if private:
                raise UsageError("--private is about the repository on the hub; name it with --push")
            return cls()
        where = Where(repo, private)
        if os.environ.get("RANK", "0") != "0":
            return cls()  # only the first process pushes
        from rlaif.hub.repository import check_access  # noqa: PLC0415  (imports the hub's client)

        return cls(where, check_access(repo, "model", private=private))

    def send(self, folder: Path, *, as_json: bool) -> None:
        """Push a trained model, and print its place on the hub. Raises HubError, UsageError that say how to repeat."""
        if self.where is None or self.target is None:
            return
        from rlaif.hub.upload import CardOptions  # noqa: PLC0415

        try:
            pushed = publish(folder, self.target, self.where, CardOptions(), quiet=as_json)
        except UsageError as error:
            private = " --private" if self.where.private else ""
            again = f"rlaif push {shlex.quote(str(folder))} --repo {self.target.name}{private}"
            raise HubError(f"{error}. The model is finished, in {folder}; push it with: {again}") from None
        print(pushed_line(pushed), file=sys.stderr if as_json else sys.stdout)
