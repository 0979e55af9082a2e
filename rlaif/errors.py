"""All exceptions, as one tree.

    RlaifError                  the root; the command line prints its message in one line, without a traceback
    ├── UsageError              the user can fix it before anything runs; exit code 2
    │   ├── ConfigError         a run file, constitution or template is not valid
    │   ├── PromptsError        the prompts, or another file of rows, cannot be read
    │   ├── GoldError           gold labels, or verdicts collected elsewhere, are not valid
    │   ├── UnfitJudgeError     the judges do not reach what the run file requires; nothing was generated
    │   ├── NotCertifiedError   people's labels do not show of any pairs what was to be certified
    │   ├── RunDirectoryError   the run directory holds other files, or another process writes to it
    │   └── HubError            the Hugging Face Hub refuses, or cannot be reached; nothing on this machine changed
    ├── RunError                the run failed; finished prompts are kept; exit code 1
    │   ├── StorageError        the disk is full, or a file cannot be written
    │   ├── EndpointError       a model's server cannot be reached, or refuses every request
    │   ├── ServerStartError    a managed server did not start, or ended
    │   └── TrainingError       the loss is not a number, or the model degrades; continuing would not help
    ├── StoppedError            stopped by a person or the machine (Ctrl-C, SIGTERM); exit code 130
    ├── CheckError              a check of the user's own failed on one prompt; only this prompt fails
    └── RequestError            one request failed for good; only its prompt fails
        ├── RequestRejectedError    the server refused the request (400, 413, 422)
        ├── RetriesExhaustedError   every attempt failed
        └── ReplyError              the reply cannot be read

Messages say what happened, where, and what to do next.
"""


class RlaifError(Exception):
    """Root of all errors whose message is written for the user."""

    exit_code = 1


class UsageError(RlaifError):
    """The user can fix it before anything runs."""

    exit_code = 2


class ConfigError(UsageError):
    """A run file, constitution or template is not valid; the message starts with file and line."""


class PromptsError(UsageError):
    """The prompts, or another file of rows, cannot be read."""


class GoldError(UsageError):
    """Gold labels, or verdicts collected elsewhere, are not valid; the message starts with file and line."""


class UnfitJudgeError(UsageError):
    """The judges do not reach what the run file requires; nothing was generated."""


class NotCertifiedError(UsageError):
    """People's labels do not show of any pairs of a run what was to be certified."""


class RunDirectoryError(UsageError):
    """The run directory holds other files, or another process writes to it."""


class HubError(UsageError):
    """The Hugging Face Hub refuses, or cannot be reached; nothing on this machine changed."""


class RunError(RlaifError):
    """The run failed; finished prompts are kept."""


class StorageError(RunError):
    """The disk is full, or a file cannot be written."""


class EndpointError(RunError):
    """A model's server cannot be reached, or refuses every request."""


class ServerStartError(RunError):
    """A managed server did not start, or ended."""


class TrainingError(RunError):
    """Training failed in a way that continuing does not fix."""


class StoppedError(RlaifError):
    """A person or the machine stopped the program; finished prompts are kept."""

    exit_code = 130


class CheckError(RlaifError):
    """A check function of the user's own raised an exception, or returned something other than True or False."""


class RequestError(RlaifError):
    """One request to a model failed for good."""


class RequestRejectedError(RequestError):
    """The server refused the request."""


class RetriesExhaustedError(RequestError):
    """Every attempt at the request failed."""


class ReplyError(RequestError):
    """The reply cannot be read."""
