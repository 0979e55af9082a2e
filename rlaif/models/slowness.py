"""Why servers on this machine are slow, and what would help: one line for a person who waits."""

from collections.abc import Sequence

from rlaif.models.hardware import busy_elsewhere, processor, usable_cores
from rlaif.models.launch import Launch

NOTICEABLE_CORES = 0.3


def slowness(launches: Sequence[Launch]) -> tuple[list[str], list[str]]:
    """Return (causes, what would help) of servers started here on a CPU; takes a second to look around.

    Both are empty of causes where no server is on this machine's CPU: of others nothing is known.
    """
    causes, helps = [], []
    if any(launch.on_cpu for launch in launches):
        cores = len(usable_cores())
        fast = processor().fast_bfloat16
        lacks = "" if fast else " without instructions for bfloat16 (AVX-512 BF16, AMX)"
        causes.append(f"{cores} core{'s' * (cores != 1)}{lacks}")
        helps.append("a GPU" if fast else "a GPU or a newer processor")
        busy = busy_elsewhere()
        if busy >= NOTICEABLE_CORES:
            causes.append(f"other programs keep {busy:.1f} of them busy")
            helps.insert(0, "ending the other programs")
    return causes, [*helps, "fewer judging.principles"]
