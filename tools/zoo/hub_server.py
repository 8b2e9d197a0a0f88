"""A hub over real HTTP on 127.0.0.1, for the real huggingface_hub client to speak to.

Written on the standard library's http.server rather than a framework or pytest-httpserver:
half of what is tested here lies below what those let one do (a body shorter than its
announced length, a 200 for a Range request, a Content-Range that lies, a second origin), and
a body must be made on demand, because one model served from here "has" 519 billion
parameters.

Use::

    with LoopbackHub() as hub:
        hub.add_repo("org/model", {"config.json": b"{}"}, gated=True)
        hub.fault("org/model", "config.json", "rate-limit", seconds=7)
        HubAccess(endpoint=hub.endpoint, ...)      # in this process
        subprocess.run(..., env={**os.environ, **hub.environment(tmp_path)})

Large files (`*.safetensors`, `Generated`, `tokenizer.json` beyond `lfs_limit`) are LFS files:
the hub redirects to signed addresses on a second port, as the real one does.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tools.running import HANGS
from tools.zoo.hub_breaks import KINDS, Break, captured, send

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Generated:
    """A file whose bytes are made when asked for: ``make(start, stop) -> bytes``."""

    size: int
    make: Callable[[int, int], bytes]
    sha256: str | None = None


Body = bytes | Path | Generated


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; see `LoopbackHub.fault` for the kinds."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One line of the log: what was asked, and how many bytes of body were sent."""

    origin: str  # "hub" or "cdn"
    method: str
    path: str
    status: int
    sent: int
    range: tuple[int, int] | None
    authorization: str | None


@dataclass
class Repo:
    """A repository: its commits, its branches, and what the API says of it."""

    name: str
    commits: dict[str, dict[str, Body]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool | str = False
    private: bool = False
    tokens: frozenset[str] = frozenset()
    meta: dict[str, Any] = field(default_factory=dict)

    def commit_of(self, revision: str) -> str | None:
        sha = self.branches.get(revision, revision)
        return sha if sha in self.commits else None

    def push(self, files: Mapping[str, Body], branch: str = "main") -> str:
        digest = hashlib.sha1(self.name.encode(), usedforsecurity=False)
        for name, body in sorted(files.items()):
            digest.update(f"\0{name}\0{sha256_of(body)}".encode())
        self.commits[digest.hexdigest()] = dict(files)
        self.branches[branch] = digest.hexdigest()
        return digest.hexdigest()


class LoopbackHub:
    """The hub (`endpoint`), its CDN on another port (`cdn`), and a log of every request."""

    def __init__(self, *, lfs_limit: int = 10 * 2**20) -> None:
        self.repos: dict[str, Repo] = {}
        self.renamed: dict[str, str] = {}
        self._log: list[Request] = []
        self._in_flight = 0
        self.lfs_limit = lfs_limit
        self._faults: dict[tuple[str, str], list[Fault]] = {}
        self._breaks: list[Break] = []
        self._lock = threading.Condition()
        self._servers = [_Server(self, "hub"), _Server(self, "cdn")]
        self.endpoint, self.cdn = (server.url for server in self._servers)

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.stop()

    @property
    def log(self) -> list[Request]:
        """Every request so far. A client has its answer a moment before the log has it."""
        with self._lock:
            self._lock.wait_for(lambda: not self._in_flight, timeout=HANGS)
            return list(self._log)

    @contextmanager
    def answering(self) -> Iterator[None]:
        with self._lock:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
                self._lock.notify_all()

    def record(self, line: Request) -> None:
        with self._lock:
            self._log.append(line)

    def add_repo(
        self,
        name: str,
        files: Path | Mapping[str, Body],
        *,
        gated: bool | str = False,
        private: bool = False,
        tokens: frozenset[str] | set[str] = frozenset(),
        **meta: Any,
    ) -> str:
        """Publish a folder or a table of files; returns the commit.

        `tokens` are the ones that may read a gated or private repository. `meta` goes into
        the API's answer as it is (``cardData=..., tags=...``).
        """
        repo = Repo(name, gated=gated, private=private, tokens=frozenset(tokens), meta=meta)
        self.repos[name] = repo
        return repo.push(_files_of(files))

    def push(self, name: str, files: Path | Mapping[str, Body], branch: str = "main") -> str:
        """Move a branch to a new commit."""
        return self.repos[name].push(_files_of(files), branch)

    def rename(self, old: str, new: str) -> None:
        """Give a repository another name and redirect from the old one."""
        repo = self.repos.pop(old)
        repo.name = new
        self.repos[new] = repo
        self.renamed[old] = new

    def fault(self, repo: str, file: str, kind: str, *, times: int = 10**9, **options: Any) -> None:
        """Let requests for a file ("*": any file, "": the API's answer, "refs") go wrong.

        Kinds and their options: ``status`` (code, headers), ``rate-limit`` (seconds,
        header="ratelimit"|"retry-after"), ``gated``, ``missing`` (EntryNotFound),
        ``cut-off`` (after bytes), ``ignore-range``, ``wrong-range`` (by bytes),
        ``slow`` (seconds), ``garbage`` (body), ``expired`` (the CDN refuses signed addresses),
        ``portal`` (body: a page with status 200 for whatever was asked), ``mixed-up`` (of: the
        repository whose file is sent instead, with a sound status, range and length; told:
        whether the ETag names the file that is sent), ``wrong-total`` (total),
        ``stale-link`` (the hub's own X-Linked-ETag names another file).
        Repetitions of a fault count down from `times`; then requests are served again.
        """
        with self._lock:
            self._faults.setdefault((repo, file), []).extend(
                [Fault(kind, options)] * min(times, 1000)
            )

    def arm(self, broken: Break) -> None:
        """Let one request of a run go wrong, whatever it asks for; see `hub_breaks`."""
        with self._lock:
            self._breaks.append(broken)

    def take_break(self, origin: str, method: str, path: str) -> Break | None:
        with self._lock:
            due = [broken for broken in self._breaks if broken.takes(origin, method, path)]
        return due[0] if due else None

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._faults.clear()
            self._breaks.clear()

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log.clear()

    def take_fault(self, repo: str, file: str, kinds: frozenset[str]) -> Fault | None:
        with self._lock:
            for key in ((repo, file), (repo, "*")) if file else ((repo, ""),):
                queue = self._faults.get(key, [])
                for position, fault in enumerate(queue):
                    if fault.kind in kinds:
                        return queue.pop(position)
        return None

    def elsewhere(self, path: str, name: str) -> str:
        """Return the path of the same thing in another repository."""
        for other, repo in self.repos.items():
            for sha in repo.commits if other in path else ():
                path = path.replace(sha, next(iter(self.repos[name].commits)))
        return re.sub(r"/org/[^/]+", f"/{name}", path, count=1)

    def requests(self, part: str = "", *, method: str | None = None) -> list[Request]:
        """Pick the log's lines whose path contains `part`."""
        return [
            line
            for line in self.log
            if part in line.path and (method is None or line.method == method)
        ]

    def sent(self, part: str = "") -> int:
        """Add up the bytes of all bodies sent for paths that contain `part`."""
        return sum(line.sent for line in self.requests(part))

    def environment(self, home: Path) -> dict[str, str]:
        """Name the variables that send another process here, with caches below `home`."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_ASSETS_CACHE": str(home / "assets"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def is_lfs(self, name: str, body: Body) -> bool:
        large = isinstance(body, Generated) or size_of(body) > self.lfs_limit
        return large or name.endswith(".safetensors")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: LoopbackHub, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.origin = origin
        # The second origin has another host name, as the real one has: huggingface_hub 1.x
        # follows a redirect within one host and then misses the hub's own headers.
        host = "localhost" if origin == "cdn" else "127.0.0.1"
        self.url = f"http://{host}:{self.server_address[1]}"
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        # Kept-alive connections would be reported as leaks after the test.
        for connection in list(self._open):
            super().shutdown_request(connection)
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is the normal end of a bounded read."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep silent; requests are logged as data."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.server.hub.answering():
            path = unquote(urlsplit(self.path).path)
            broken = self.server.hub.take_break(self.server.origin, self.command, path)
            if broken is None:
                self._route(path)
            else:
                self._broken(broken, path)

    def _broken(self, broken: Break, path: str) -> None:
        """Answer as a break does: with what it makes of the sound answer."""
        hub = self.server.hub
        options = dict(broken.options)
        options["cdn"] = hub.cdn
        if "of" in options:
            other = hub.elsewhere(path, options["of"])
            options["other"] = lambda: captured(self, lambda: self._route(other))
        if "call" in options:
            options["call"]()
        sound = captured(self, lambda: self._route(path))
        self.close_connection = False
        answer = KINDS[broken.kind](sound, replace(broken, options=options))
        if self.command == "HEAD":
            answer = replace(answer, body=b"")
        if not send(answer, self.wfile, self.connection, self.server.stopping):
            self.close_connection = True

    def _route(self, path: str) -> None:
        if self.server.origin == "cdn":
            self._cdn(path)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._api(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/refs", path):
            self._refs(match[1])
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)/?", path):
            self._tree(match[1], match[2])
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(match[1], match[2], match[3])
        else:
            self._answer(200 if path == "/" else 404, b"")

    # The API: what a repository is.

    def _api(self, name: str, revision: str) -> None:
        hub = self.server.hub
        if name in hub.renamed:
            self._redirect(self.path.replace(name, hub.renamed[name], 1))
            return
        fault = hub.take_fault(name, "", frozenset({"status", "rate-limit", "garbage", "slow"}))
        if fault is not None and self._failed(fault):
            return
        repo = hub.repos.get(name)
        if repo is None or (repo.private and self._token() not in repo.tokens):
            self._no_repository()
            return
        sha = repo.commit_of(revision)
        if sha is None:
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        blobs = "blobs" in parse_qs(urlsplit(self.path).query)
        self._json({**_info(hub, repo, sha, blobs=blobs), **repo.meta})

    def _refs(self, name: str) -> None:
        kinds = frozenset({"status", "rate-limit", "garbage", "slow"})
        fault = self.server.hub.take_fault(name, "refs", kinds)
        if fault is not None and self._failed(fault):
            return
        repo = self.server.hub.repos.get(name)
        if repo is None or (repo.private and self._token() not in repo.tokens):
            self._no_repository()
            return
        branches = [
            {"name": branch, "ref": f"refs/heads/{branch}", "targetCommit": sha}
            for branch, sha in repo.branches.items()
        ]
        self._json({"branches": branches, "tags": [], "converts": []})

    def _tree(self, name: str, revision: str) -> None:
        # What snapshot_download asks for; our own client does not.
        repo = self.server.hub.repos[name]
        siblings = _info(self.server.hub, repo, repo.commit_of(revision) or "", blobs=True)
        self._json(
            [
                {
                    "type": "file",
                    "path": item["rfilename"],
                    "size": item["size"],
                    "oid": item["blobId"],
                    **(
                        {"lfs": {**item["lfs"], "oid": item["lfs"]["sha256"]}}
                        if "lfs" in item
                        else {}
                    ),
                }
                for item in siblings["siblings"]
            ]
        )

    def _no_repository(self) -> None:
        # The real hub does not tell strangers whether a repository is missing or private.
        status = 404 if self._token() else 401
        self._answer(
            status,
            b'{"error":"Repository not found"}',
            {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"},
        )

    # Files: metadata here, large bodies elsewhere.

    def _file(self, name: str, revision: str, file: str) -> None:
        hub = self.server.hub
        if name in hub.renamed:
            self._redirect(self.path.replace(name, hub.renamed[name], 1))
            return
        kinds = {"status", "rate-limit", "gated", "missing", "stale-link"}
        fault = hub.take_fault(name, file, frozenset(kinds))
        stale = fault is not None and fault.kind == "stale-link"
        if fault is not None and not stale and self._failed(fault):
            return
        repo = hub.repos.get(name)
        if repo is None or (repo.private and self._token() not in repo.tokens):
            self._no_repository()
        elif (sha := repo.commit_of(revision)) is None:
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif repo.gated and self._token() not in repo.tokens:
            self._gated(name)
        elif file not in repo.commits[sha]:
            headers = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}
            self._answer(404, b"Entry not found", headers)
        else:
            self._resolved(name, sha, file, repo.commits[sha][file], stale=stale)

    def _gated(self, name: str) -> None:
        self._answer(
            403 if self._token() else 401,
            b"Access to this model is restricted.",
            {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted."},
        )

    def _resolved(self, name: str, sha: str, file: str, body: Body, *, stale: bool = False) -> None:
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if not self.server.hub.is_lfs(file, body):
            self._body(name, file, body, {**headers, "ETag": f'"{git_oid_of(body)}"'})
            return
        headers["X-Linked-Size"] = str(size_of(body))
        linked = "0" * 64 if stale else sha256_of(body)
        headers["X-Linked-ETag"] = f'"{linked}"'
        location = f"{self.server.hub.cdn}/{quote(name)}/{sha}/{quote(file)}?X-Signature=valid"
        self._redirect(location, 302, headers)

    def _cdn(self, path: str) -> None:
        owner, name, sha, file = path.lstrip("/").split("/", 3)
        repo = f"{owner}/{name}"
        if self.server.hub.take_fault(repo, file, frozenset({"expired"})) is not None:
            self._answer(403, b"<Error>AccessDenied</Error>")
            return
        body = self.server.hub.repos[repo].commits[sha][file]
        self._body(repo, file, body, {"ETag": f'"{sha256_of(body)}"', "Accept-Ranges": "bytes"})

    def _body(self, name: str, file: str, body: Body, headers: dict[str, str]) -> None:
        kinds = frozenset(
            {"cut-off", "ignore-range", "wrong-range", "slow", "garbage", "portal", "mixed-up",
             "wrong-total"}
        )  # fmt: skip
        # HEADs do not use faults up that only a body can show.
        fault = None if self.command == "HEAD" else self.server.hub.take_fault(name, file, kinds)
        kind = fault.kind if fault is not None else ""
        options = fault.options if fault is not None else {}
        if kind == "slow":
            self.server.stopping.wait(options.get("seconds", 0.5))
        if kind == "garbage":
            body = options["body"]
        if kind == "portal":
            self._answer(200, options["body"], {"Content-Type": "text/html"})
            return
        if kind == "mixed-up":
            other = self.server.hub.repos[options["of"]]
            body = next(files[file] for files in other.commits.values() if file in files)
            if options.get("told"):
                headers["ETag"] = f'"{sha256_of(body)}"'
            elif "ETag" in headers:
                del headers["ETag"]
        size = size_of(body)
        start, stop, status = 0, size, 200
        asked = self._range(size)
        if asked is not None and kind != "ignore-range":
            start, stop = asked
            if start >= size:
                self._answer(416, b"", {"Content-Range": f"bytes */{size}"})
                return
            status = 206
            shown = start + options.get("by", 1) if kind == "wrong-range" else start
            total = options["total"] if kind == "wrong-total" else size
            headers["Content-Range"] = f"bytes {shown}-{stop - 1}/{total}"
        keep = options.get("after", 0) if kind == "cut-off" else None
        self._send(status, headers, body, (start, stop), keep=keep)

    def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        body: Body,
        span: tuple[int, int],
        *,
        keep: int | None = None,
    ) -> None:
        start, stop = span
        self._head(status, headers, stop - start)
        sent = 0
        end = stop if keep is None else min(stop, start + keep)
        try:
            if self.command != "HEAD":
                for position in range(start, end, CHUNK):
                    part = part_of(body, position, min(end, position + CHUNK))
                    self.wfile.write(part)
                    sent += len(part)
        except OSError:
            self.close_connection = True
        if keep is not None:
            self.close_connection = True
        self._record(status, sent)

    # Plain answers.

    def _failed(self, fault: Fault) -> bool:
        options = fault.options
        if fault.kind == "slow":
            self.server.stopping.wait(options.get("seconds", 0.5))
            return False
        if fault.kind == "garbage":
            self._answer(200, options["body"], {"Content-Type": "application/json"})
        elif fault.kind == "gated":
            self._gated("repository")
        elif fault.kind == "missing":
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "0" * 40})
        elif fault.kind == "rate-limit":
            self._answer(429, b"", _limit_headers(options))
        else:
            self._answer(options.get("code", 503), b"", options.get("headers", {}))
        return True

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _redirect(
        self, location: str, status: int = 307, headers: Mapping[str, str] | None = None
    ) -> None:
        self._answer(status, b"", {**(headers or {}), "Location": location})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, headers or {}, body, (0, len(body)))

    def _head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _record(self, status: int, sent: int) -> None:
        self.server.hub.record(
            Request(
                self.server.origin,
                self.command,
                unquote(urlsplit(self.path).path),
                status,
                sent,
                self._range(2**62),
                self.headers.get("Authorization"),
            )
        )

    def _range(self, size: int) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return None
        return int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)

    def _token(self) -> str | None:
        value = self.headers.get("Authorization", "")
        return value.removeprefix("Bearer ") or None


def size_of(body: Body) -> int:
    if isinstance(body, Generated):
        return body.size
    return body.stat().st_size if isinstance(body, Path) else len(body)


def part_of(body: Body, start: int, stop: int) -> bytes:
    if isinstance(body, Generated):
        return body.make(start, stop)
    if isinstance(body, bytes):
        return body[start:stop]
    with body.open("rb") as stream:
        stream.seek(start)
        return stream.read(stop - start)


def sha256_of(body: Body) -> str:
    if isinstance(body, Generated):
        return body.sha256 or hashlib.sha256(f"generated {body.size}".encode()).hexdigest()
    return hashlib.sha256(body.read_bytes() if isinstance(body, Path) else body).hexdigest()


def git_oid_of(body: Body) -> str:
    content = part_of(body, 0, size_of(body))
    return _digest(b"blob %d\0" % len(content) + content)


def _files_of(files: Path | Mapping[str, Body]) -> dict[str, Body]:
    if not isinstance(files, Path):
        return dict(files)
    return {
        path.relative_to(files).as_posix(): path
        for path in sorted(files.rglob("*"))
        if path.is_file()
    }


def _limit_headers(options: Mapping[str, Any]) -> dict[str, str]:
    seconds = options.get("seconds", 0)
    if options.get("header") == "retry-after":
        return {"Retry-After": str(seconds)}
    return {
        "RateLimit": f'"api";r=0;t={seconds}',
        "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
    }


def _info(hub: LoopbackHub, repo: Repo, sha: str, *, blobs: bool) -> dict[str, Any]:
    siblings = []
    for name, body in sorted(repo.commits[sha].items()):
        sibling: dict[str, Any] = {"rfilename": name}
        if blobs:
            sibling["size"] = size_of(body)
        if blobs and not hub.is_lfs(name, body):
            sibling["blobId"] = git_oid_of(body)
        elif blobs:
            sibling["blobId"] = _digest(name.encode())  # of the pointer file
            sibling["lfs"] = {"size": size_of(body), "sha256": sha256_of(body), "pointerSize": 134}
        siblings.append(sibling)
    return {
        "id": repo.name,
        "modelId": repo.name,
        "sha": sha,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "tags": [],
        "siblings": siblings,
    }


def _digest(raw: bytes) -> str:
    """Return a commit's or blob's name, as git makes it."""
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()
