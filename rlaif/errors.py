"""Everything that can go wrong, as one tree.

    RlaifError                  the only kind the command line catches: one line, no traceback
    ├── UsageError              the user can fix it before anything runs; exit code 2
    │   ├── ConfigError         a run file, constitution or template is not as it must be
    │   ├── PromptsError        the prompts, or another file of rows, cannot be read
    │   ├── GoldError           gold labels, or verdicts collected elsewhere, are not as they must be
    │   ├── UnfitJudgeError     the judges miss the bar that the run file sets; nothing was generated
    │   └── RunDirectoryError   the run directory holds something else, or somebody writes to it
    ├── RunError                it broke while running; what was finished is kept; exit code 1
    │   ├── StorageError        the disk is full, or a file cannot be written
    │   ├── EndpointError       nobody answers there, or not to us: no use in asking anything else
    │   ├── ServerStartError    a managed server did not start, or died
    │   └── TrainingError       the loss is not a number, or the model degrades: continuing is of no use
    ├── StoppedError            a person or the machine stopped it (Ctrl-C, SIGTERM); exit code 130
    ├── CheckError              a check of the user's own broke on one prompt; it costs that prompt, never the run
    └── RequestError            one question failed for good; it costs one prompt, never the run
        ├── RequestRejectedError    the server understood and refused (400, 413, 422)
        ├── RetriesExhaustedError   it kept failing
        └── ReplyError              the reply cannot be read

Messages say what happened, where, and what to do next.
"""


class RlaifError(Exception):
    """Root of all errors a person is meant to read."""

    exit_code = 1


class UsageError(RlaifError):
    """The user can fix it before anything runs."""

    exit_code = 2


class ConfigError(UsageError):
    """A run file, constitution or template is not as it must be; the message starts with file and line."""


class PromptsError(UsageError):
    """The prompts, or another file of rows, cannot be read."""


class GoldError(UsageError):
    """Gold labels, or verdicts collected elsewhere, are not as they must be; the message starts with file and line."""


class UnfitJudgeError(UsageError):
    """The judges miss the bar that the run file sets; nothing was generated."""


class RunDirectoryError(UsageError):
    """The run directory holds something else, or another process writes to it."""


class RunError(RlaifError):
    """It broke while running; everything finished until then is kept."""


class StorageError(RunError):
    """The disk is full, or a file cannot be written."""


class EndpointError(RunError):
    """A model's server cannot be reached or refuses us altogether."""


class ServerStartError(RunError):
    """A managed server did not start, or died."""


class TrainingError(RunError):
    """Training failed in a way that continuing does not fix."""


class StoppedError(RlaifError):
    """A person or the machine stopped it; what is finished is kept."""

    exit_code = 130


class CheckError(RlaifError):
    """A function of the user's own that checks answers broke, or returned something else than True or False."""


class RequestError(RlaifError):
    """One question to a model failed for good."""


class RequestRejectedError(RequestError):
    """The server understood the question and refused it."""


class RetriesExhaustedError(RequestError):
    """The question kept failing until the retries ran out."""


class ReplyError(RequestError):
    """The reply is not one this program can read."""
