"""The Hugging Face Hub: whether a repository may be written, and sending a folder to it, by huggingface_hub.

The token is huggingface_hub's own (HF_TOKEN, or `hf auth login`) and the hub is HF_ENDPOINT, as it reads them. No
message has the token. Every error is a HubError: nothing on this machine has changed by then.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub import DatasetCard, HfApi, ModelCard, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from rlaif.errors import HubError, RlaifError, UsageError
from rlaif.hub.upload import Kind, Upload
from rlaif.version import __version__

_STALE = {
    "dataset": ["preference/*", "sft/*", "train.*", "test.*", "run/*"],
    "model": ["*.safetensors", "*.index.json"],
}
"""Files of an earlier push that are removed where the new one has none of the same name."""


@dataclass(frozen=True)
class Target:
    """A repository that the token may write to."""

    name: str
    """OWNER/NAME."""
    kind: Kind
    exists: bool
    private: bool | None
    """None: by the default of its owner, which the hub decides."""
    license: str | None = None
    """The license on the card that is there; None where there is none."""


@dataclass(frozen=True)
class Sent:
    """What the hub says after a push."""

    url: str
    commit: str
    private: bool
    changed: bool
    """False where the repository had the same files already."""


def check_name(name: str) -> None:
    """Raise UsageError for a name that no repository can have."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UsageError(f"--repo {name}: {' '.join(str(error).split())}") from None


def check_access(name: str, kind: Kind, *, private: bool) -> Target:
    """Return the repository, after asking the hub whether token and name are allowed. Raises HubError, UsageError."""
    check_name(name)
    if not get_token():
        raise HubError("no token of the Hugging Face Hub was found; run `hf auth login`, or set HF_TOKEN")
    api = _api()
    with hub_errors("ask who the token belongs to"):
        account = api.whoami()
    full = _owned_name(name, account)
    with hub_errors(f"look up {full}"):
        try:
            found = api.repo_info(full, repo_type=kind)
        except RepositoryNotFoundError:
            return Target(full, kind, exists=False, private=True if private else None)
    if private and not found.private:
        raise HubError(
            f"{full} exists already and is public, so --private would not hold; change it in its settings on the hub, "
            "or choose another --repo"
        )
    return Target(full, kind, exists=True, private=bool(found.private), license=_license_of(full, kind))


def _owned_name(name: str, account: dict[str, Any]) -> str:
    """Return OWNER/NAME. Raises HubError where the account is not allowed to write under that owner."""
    user = str(account["name"])
    role = (account.get("auth") or {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError(f"the token of {user} may only read; make one with write access in the settings of the hub")
    owner, _, rest = name.rpartition("/")
    groups = {str(one["name"]): one.get("roleInOrg") for one in account.get("orgs", [])}
    if owner and owner not in {user, *groups}:
        known = ", ".join([user, *groups])
        raise HubError(f"the token may not write under {owner!r}; it belongs to {known}: choose --repo {user}/{rest}")
    if groups.get(owner) == "read":
        raise HubError(f"{user} may only read in the organization {owner}; choose --repo {user}/{rest}")
    return f"{owner or user}/{rest}"


def _license_of(name: str, kind: Kind) -> str | None:
    """Return the license on a repository's card; None where there is none or it cannot be read."""
    cards: dict[str, Any] = {"dataset": DatasetCard, "model": ModelCard}
    try:
        found = cards[kind].load(name).data.license
    except Exception:  # noqa: BLE001  (the hub's client raises anything; a card is not needed)
        return None
    return str(found) if found and found != "unknown" else None


def send(target: Target, upload: Upload, *, revision: str | None, quiet: bool) -> Sent:
    """Create the repository where it does not exist, and send what differs from what is there. Raises HubError."""
    if quiet:
        disable_progress_bars()
    api = _api()
    if not target.exists:
        with hub_errors(f"create {target.name}"):
            api.create_repo(target.name, repo_type=target.kind, private=target.private)
    with hub_errors(f"write to {target.name}"):
        private = bool(api.repo_info(target.name, repo_type=target.kind).private)
        if target.private and not private:
            raise HubError(f"the hub made {target.name} public in spite of --private; nothing was sent to it")
        if revision and not revision.startswith("refs/"):
            api.create_branch(target.name, repo_type=target.kind, branch=revision, exist_ok=True)
        before = api.repo_info(target.name, repo_type=target.kind, revision=revision).sha
        commit = api.upload_folder(
            folder_path=upload.folder,
            repo_id=target.name,
            repo_type=target.kind,
            revision=revision,
            commit_message=f"Upload {upload.kind} with rlaif {__version__}",
            delete_patterns=_STALE[upload.kind],
        )
    place = "datasets/" if target.kind == "dataset" else ""
    return Sent(f"{constants.ENDPOINT}/{place}{target.name}", str(commit.oid), private, changed=commit.oid != before)


def _api() -> HfApi:
    return HfApi(library_name="rlaif", library_version=__version__)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn whatever the hub's client raises into a HubError of one line; `what` is what was tried."""
    try:
        yield
    except RlaifError:
        raise
    except Exception as error:  # noqa: BLE001  (the hub's client raises anything)
        raise HubError(_without_token(_explained(error, what))) from None


def _explained(error: Exception, what: str) -> str:
    hub = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled):
        return f"the hub is switched off here by HF_HUB_OFFLINE; unset it to {what}"
    response = getattr(error, "response", None)
    if response is None:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"cannot {what}: no usable answer from the hub at {hub} ({reason})"
    said = getattr(error, "server_message", None) if isinstance(error, HfHubHTTPError) else None
    reason = f": {' '.join(str(said).split())[:200]}" if said else ""
    advice = _ADVICE.get(response.status_code, "try again later")
    return f"cannot {what}: the hub at {hub} answers {response.status_code}{reason}; {advice}"


_LOGIN = "the token is not valid (any more): run `hf auth login`, or set HF_TOKEN"
_RIGHTS = "the token has no right to do this: use one with write access to that owner"
_TAKEN = "the name is taken, perhaps by a repository of another type: choose another --repo"
_ADVICE: dict[int, str] = {
    400: "see what the hub says of the files or the card",
    401: _LOGIN,
    402: "the account's plan does not include this",
    403: _RIGHTS,
    404: "the repository or its branch is not there, or the token may not see it",
    409: _TAKEN,
    412: "somebody else wrote to it at the same time: push again",
    429: "too many requests: try again in some minutes",
}


def _without_token(text: str) -> str:
    token = get_token()
    return text.replace(token, "(token)") if token else text


def visibility(private: bool | None) -> str:
    """Return in words who can see a repository."""
    if private is None:
        return "public, unless its owner's default is private"
    return "private" if private else "public"
