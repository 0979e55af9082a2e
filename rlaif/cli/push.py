"""`rlaif push`: upload a run's dataset, an exported dataset or a trained model to the Hugging Face Hub."""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from rlaif.cli.console import visible
from rlaif.cli.options import Json
from rlaif.errors import UsageError
from rlaif.text.wording import counted

if TYPE_CHECKING:
    from rlaif.hub.repository import Target
    from rlaif.hub.upload import CardOptions, Upload
    from rlaif.runs.reader import Run


@dataclass(frozen=True)
class Where:
    """The repository and what it gets."""

    repo: str
    private: bool = False
    revision: str | None = None
    labels: str = "critic"
    """Whose labels of a run: `critic`, `certified` (of those, the certified pairs) or `people`."""
    with_run: bool = False

    @property
    def run_class(self) -> "type[Run]":
        """The class by which a run is read for these labels."""
        from rlaif.runs.certified import CertifiedRun  # noqa: PLC0415
        from rlaif.runs.reader import Run  # noqa: PLC0415
        from rlaif.runs.reviewed import ReviewedRun  # noqa: PLC0415

        return {"critic": Run, "certified": CertifiedRun, "people": ReviewedRun}[self.labels]


def push_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    source: Annotated[Path, typer.Argument(help="A finished run, an exported dataset, or a trained model's folder.")],
    repo: Annotated[str, typer.Option(help="Name on the hub: OWNER/NAME, or NAME under your own account.")],
    private: Annotated[bool, typer.Option("--private", help="Only you and your organization can see it.")] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", "--branch", help="Branch to write to; created where it is missing.")
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="The hub's id of its license, such as apache-2.0; else `unknown`.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="ISO 639 code instead of the detected one; can be given several times.")
    ] = None,
    base_model: Annotated[str | None, typer.Option(help="Of a model: hub id of the model it was made from.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of a model: hub id of the data that it was trained on.")] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="Of a run: only the pairs that its certificate keeps.")
    ] = False,
    people: Annotated[
        bool, typer.Option("--people", help="Of a run: people's labels where they reviewed it (rlaif review).")
    ] = False,
    with_run: Annotated[bool, typer.Option("--with-run", help="Of a run: its summary and rules, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; nothing is sent.")] = False,
    json_: Json = False,
) -> None:
    """Upload a run's dataset (Parquet and card) or a trained model to the Hugging Face Hub.

    Log in with `hf auth login`, or set HF_TOKEN. Pushing again sends only what changed. Texts are published without
    paths of this machine.

    \b
    Examples:
      rlaif push runs/first --repo my-name/first --license apache-2.0 --dry-run
      rlaif push runs/first --repo my-name/first --license apache-2.0 --private
      rlaif push models/first --repo my-name/first-dpo --license apache-2.0 --dataset my-name/first
    """
    from rlaif.hub.upload import CardOptions  # noqa: PLC0415  (imports the hub's client)

    said = CardOptions(license_, tuple(language or ()), base_model, dataset)
    if certified and people:
        raise UsageError("--certified and --people: a certificate is about the critic's labels; choose one of them")
    labels = "certified" if certified else "people" if people else "critic"
    where = Where(repo, private, revision, labels, with_run)
    push_job(source, where, said, dry_run=dry_run, as_json=json_)


def push_job(source: Path, where: Where, said: "CardOptions", *, dry_run: bool, as_json: bool) -> None:
    """Publish a folder, or show what would be published, and print the result. Raises UsageError, HubError."""
    from rlaif.hub.repository import check_access, check_name  # noqa: PLC0415
    from rlaif.hub.upload import kind_of, make_upload  # noqa: PLC0415

    kind = kind_of(source)
    check_name(where.repo)
    if not dry_run:
        target = check_access(where.repo, kind, private=where.private)
        pushed = publish(source, target, where, said, quiet=as_json)
        _print_pushed(pushed, where, as_json=as_json)
        return
    with tempfile.TemporaryDirectory() as temporary:
        upload = make_upload(source, Path(temporary), said, where.run_class, with_run=where.with_run)
        _print_plan(upload, where, as_json=as_json)


@dataclass(frozen=True)
class Pushed:
    """What was published, and where."""

    repo: str
    type: str
    url: str
    commit: str
    sent: bool
    """False where the repository had the same files already."""
    visibility: str
    rows: dict[str, int]
    warnings: tuple[str, ...]


def publish(source: Path, target: "Target", where: Where, said: "CardOptions", *, quiet: bool) -> Pushed:
    """Send a folder, with its warnings on stderr. Raises UsageError, HubError."""
    from rlaif.hub.repository import send, visibility  # noqa: PLC0415
    from rlaif.hub.upload import make_upload  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as temporary:
        upload = make_upload(source, Path(temporary), said, where.run_class, with_run=where.with_run)
        upload = upload.with_license(said.license or target.license)
        for warning in upload.warnings:
            print(f"! {visible(warning)}", file=sys.stderr)
        sent = send(target, upload, revision=where.revision, quiet=quiet or not sys.stderr.isatty())
        seen = visibility(sent.private)
        rows = dict(upload.rows)
        return Pushed(target.name, upload.kind, sent.url, sent.commit, sent.changed, seen, rows, upload.warnings)


def _print_plan(upload: "Upload", where: Where, *, as_json: bool) -> None:
    from rlaif.hub.repository import visibility  # noqa: PLC0415

    repo = where.repo if "/" in where.repo else f"(your account)/{where.repo}"
    seen_by = visibility(where.private or None)
    if as_json:
        plan = {"repo": repo, "type": upload.kind, "visibility": seen_by, "revision": where.revision or "main"}
        content = {"files": upload.files, "rows": upload.rows, "head": upload.head, "warnings": upload.warnings}
        print(json.dumps(plan | content | {"sent": False}, ensure_ascii=False))
        return
    print(f"{upload.kind}  {repo}, branch {where.revision or 'main'}; {seen_by}, if it does not exist yet")
    for name, size in upload.files.items():
        rows = upload.rows.get(name.rpartition(".")[0])
        print(f"  {size:>12,} bytes  {name}" + (f"   {counted(rows, 'row')}" if rows is not None else ""))
    print(f"  {sum(upload.files.values()):>12,} bytes  in {counted(len(upload.files), 'file')}")
    if upload.paths_cut:
        print(f"  {counted(upload.paths_cut, 'local path')} in its texts cut to the last part")
    print("head of the card:")
    shown = yaml.safe_dump(_shortened(upload.head), sort_keys=False, allow_unicode=True, width=100)
    print(visible("".join(f"  {line}\n" for line in shown.splitlines())), end="")
    for warning in upload.warnings:
        print(f"! {visible(warning)}", file=sys.stderr)
    print("nothing was sent (--dry-run)")


def _shortened(head: dict[str, Any]) -> dict[str, Any]:
    """Return a head with the number of columns in place of their types."""

    def short(info: dict[str, Any]) -> dict[str, Any]:
        return info | {"features": f"({len(info['features'])} columns; --json shows them)"}

    infos = head.get("dataset_info")
    if isinstance(infos, dict):
        return head | {"dataset_info": short(infos)}
    return head | {"dataset_info": [short(info) for info in infos]} if infos else head


def _print_pushed(pushed: Pushed, where: Where, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(pushed), ensure_ascii=False))
        return
    print(pushed_line(pushed))
    if pushed.type == "dataset":
        branch = f', revision="{where.revision}"' if where.revision else ""
        print(f'next     datasets.load_dataset("{pushed.repo}"{branch})')


def pushed_line(pushed: Pushed) -> str:
    """Return where something was published, who can see it, and its commit."""
    what = "" if pushed.sent else "nothing has changed since "
    return f"{pushed.type:<8} {pushed.url}   ({pushed.visibility}; {what}commit {pushed.commit[:7]})"
