"""A stand-in of the Hugging Face Hub on a loopback port: accounts, repositories, LFS uploads, commits, downloads.

It answers the requests that huggingface_hub and `datasets` send, and keeps everything in memory. Xet storage is absent.
"""

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Self

import yaml
from aiohttp import web

TOKEN = "hf_secretTokenOfATest"
ACCOUNT = {
    "type": "user",
    "name": "ada",
    "orgs": [{"name": "lab", "roleInOrg": "write"}, {"name": "readers", "roleInOrg": "read"}],
    "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}},
}
BIG = 5_000
"""Bytes from which a file goes by LFS; Parquet and weights always do."""


@dataclass
class Repository:
    """The files of one branch after each commit, by commit."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Add a commit and return its hash."""
        name = hashlib.sha1(f"{branch} {len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Return the files of a branch or commit. Raises KeyError."""
        return self.commits[self.branches.get(revision, revision)]


@dataclass
class StandIn:
    """The server; use as an async context manager."""

    account: dict[str, Any] = field(default_factory=lambda: ACCOUNT)
    repositories: dict[str, Repository] = field(default_factory=dict)
    """By `datasets/OWNER/NAME` or `models/OWNER/NAME`."""
    taken: set[str] = field(default_factory=set)
    """Names, such as ada/first, that creating answers with 409."""
    faults: dict[str, int] = field(default_factory=dict)
    """By a part of a path: the status to answer with; 0 closes the connection."""
    uploads: list[str] = field(default_factory=list)
    """Paths of the files that were committed, one commit after the other."""
    requests: list[str] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**28, middlewares=[self._guarded])
        repo = r"/api/{type:models|datasets}/{name:[\w.-]+/[\w.-]+}"
        app.router.add_get("/api/whoami-v2", self._whoami)
        app.router.add_post("/api/repos/create", self._create)
        app.router.add_post("/api/validate-yaml", self._validate)
        app.router.add_post(repo + "/preupload/{revision}", self._preupload)
        app.router.add_post(repo + "/commit/{revision}", self._commit)
        app.router.add_post(repo + "/branch/{branch}", self._branch)
        app.router.add_post(repo + "/paths-info/{revision}", self._paths)
        app.router.add_get(repo + "/tree/{revision}", self._tree)
        app.router.add_get(repo + "/tree/{revision}/{path:.*}", self._tree)
        app.router.add_get(repo + "/revision/{revision}", self._info)
        app.router.add_get(repo, self._info)
        for prefix in ("/{type:datasets}", ""):
            place = prefix + r"/{name:[\w.-]+/[\w.-]+}"
            app.router.add_post(place + ".git/info/lfs/objects/batch", self._batch)
            app.router.add_get(place + "/resolve/{revision}/{path:.*}", self._resolve)
        app.router.add_put("/lfs/{oid}", self._store)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        for part, status in self.faults.items():
            if part in request.path and status == 0:
                request.transport.abort()
                await asyncio.sleep(0.1)
            elif part in request.path:
                return web.json_response({"error": f"said by the hub: {status}"}, status=status)
        open_to_all = request.path.startswith("/lfs/")
        if not open_to_all and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "Invalid credentials"}, status=401)
        return await handler(request)

    async def _whoami(self, request: web.Request) -> web.Response:
        return web.json_response(self.account)

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"{asked.get('organization') or self.account['name']}/{asked['name']}"
        key = f"{asked.get('type', 'model')}s/{name}"
        if name in self.taken or key in self.repositories:
            return web.json_response({"error": "You already created this repo"}, status=409)
        made = self.repositories[key] = Repository(private=asked.get("visibility") == "private")
        made.commit("main", {".gitattributes": b"*.parquet filter=lfs\n"})
        return web.json_response({"url": f"{self.url}/{key.removeprefix('models/')}", "name": name})

    async def _validate(self, request: web.Request) -> web.Response:
        head = yaml.safe_load((await request.json())["content"].split("---")[1])
        faults = [] if isinstance(head.get("license"), str | None) else [{"message": '"license" must be a string'}]
        return web.json_response({"errors": faults, "warnings": []}, status=400 if faults else 200)

    async def _info(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        repository, _, files = found
        name, revision = request.match_info["name"], request.match_info.get("revision", "main")
        siblings = [{"rfilename": path} for path in files]
        sha = repository.branches.get(revision, revision)
        return web.json_response({"id": name, "sha": sha, "private": repository.private, "siblings": siblings})

    async def _branch(self, request: web.Request) -> web.Response:
        repository = self.repositories[f"{request.match_info['type']}/{request.match_info['name']}"]
        if request.match_info["branch"] in repository.branches:
            return web.json_response({"error": "exists"}, status=409)
        repository.branches[request.match_info["branch"]] = repository.branches["main"]
        return web.json_response({})

    async def _preupload(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        files = []
        for one in (await request.json())["files"]:
            lfs = one["path"].endswith((".parquet", ".safetensors")) or one["size"] > BIG
            there = found[2].get(one["path"])
            oid = None if there is None else hashlib.sha256(there).hexdigest() if lfs else _git_hash(there)
            mode = "lfs" if lfs else "regular"
            files.append({"path": one["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return web.json_response({"files": files})

    async def _batch(self, request: web.Request) -> web.Response:
        objects = []
        for one in (await request.json())["objects"]:
            actions = {} if one["oid"] in self.stored else {"upload": {"href": f"{self.url}/lfs/{one['oid']}"}}
            objects.append(one | ({"actions": actions} if actions else {}))
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _store(self, request: web.Request) -> web.Response:
        body = await request.read()
        if hashlib.sha256(body).hexdigest() != request.match_info["oid"]:
            return web.Response(status=400)
        self.stored[request.match_info["oid"]] = body
        return web.Response()

    async def _commit(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        files = dict(found[2])
        for line in (await request.text()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
            if entry["key"] in {"file", "lfsFile"}:
                self.uploads.append(value["path"])
        made = found[0].commit(request.match_info["revision"], files)
        place = f"{request.match_info['type']}/{request.match_info['name']}".removeprefix("models/")
        return web.json_response({"commitUrl": f"{self.url}/{place}/commit/{made}", "commitOid": made})

    async def _tree(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        below = request.match_info.get("path", "")
        start = len(below) + 1 if below else 0
        paths = [path for path in found[2] if not below or path.startswith(f"{below}/")]
        if below and not paths:
            return _missing("EntryNotFound")
        entries = [_entry(path, found[2][path]) for path in paths]
        if request.query.get("recursive", "False").lower() != "true":
            entries = [one for one in entries if "/" not in one["path"][start:]]
            folders = {path[:start] + path[start:].partition("/")[0] for path in paths if "/" in path[start:]}
            entries += [{"type": "directory", "path": folder, "oid": "0"} for folder in folders]
        return web.json_response(entries)

    async def _paths(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        content = (await request.post()) if "form" in request.content_type else await request.json()
        asked = content.getall("paths") if hasattr(content, "getall") else content["paths"]
        entries = []
        for path in asked:
            if path in found[2]:
                entries.append(_entry(path, found[2][path]))
            elif any(one.startswith(f"{path}/") for one in found[2]):
                entries.append({"type": "directory", "path": path, "oid": "0"})
        return web.json_response(entries)

    async def _resolve(self, request: web.Request) -> web.Response:
        found = self._files(request)
        if isinstance(found, web.Response):
            return found
        repository, revision, files = found
        content = files.get(request.match_info["path"])
        commit = repository.branches.get(revision, revision)
        if content is None:
            return _missing("EntryNotFound", {"X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_git_hash(content)}"'}
        return web.Response(body=content, headers=headers)

    def _files(self, request: web.Request) -> web.Response | tuple[Repository, str, dict[str, bytes]]:
        """Return (repository, revision, its files), or the answer that there is no such thing."""
        repository = self.repositories.get(f"{request.match_info.get('type', 'models')}/{request.match_info['name']}")
        revision = request.match_info.get("revision", "main")
        if repository is None:
            return _missing("RepoNotFound")
        try:
            return repository, revision, repository.files(revision)
        except KeyError:
            return _missing("RevisionNotFound")


def _missing(what: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": what}, status=404, headers={"X-Error-Code": what, **(headers or {})})


def _entry(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(content), "oid": _git_hash(content)}


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
