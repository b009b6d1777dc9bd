"""A stand-in for the Hub: a server process with the part of its HTTP interface that pushing and reading a model need.

`python tests/hub_server.py` prints the port it listens on, and keeps everything in memory until it is ended. Who comes
with the token `writer` may do anything, with `reader` may read all but gated repositories, without one only what is
public. `POST /-/hold` lets the next commit wait for ever, as if the line had gone dead between upload and commit.
"""
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

FOREVER = 3600.0


class File(NamedTuple):
    "A file of a commit."

    data: bytes
    lfs: bool  # kept as a large file

    @property
    def oid(self) -> str:
        "Git's name of it; of a large file, that of the pointer."
        text = f"oid sha256:{self.sha256}\n".encode() if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()

    @property
    def sha256(self) -> str: return hashlib.sha256(self.data).hexdigest()


@dataclass
class Repo:
    "Commits, and the branches and tags that point to them."

    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, File]) -> str:
        "Put a new commit on a branch."
        said = json.dumps([len(self.commits), {name: file.oid for name, file in files.items()}])
        sha = hashlib.sha1(said.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha


class Refused(Exception):
    "An answer with an error's status."

    def __init__(self, status: int, code: str = "", message: str = "", **body: str):
        self.status, self.headers = status, {"X-Error-Code": code, "X-Error-Message": message}
        self.body = {"error": message, **body}


REPOS: dict[str, Repo] = {}
LARGE: dict[str, bytes] = {}  # uploaded, by SHA-256
HOLD = threading.Event()  # the next commit is to wait
HELD = threading.Event()  # it does


def repo_of(name: str, token: str) -> Repo:
    "A repository that the token may see."
    repo = REPOS.get(name)
    if repo and "gated" in name and token != "writer": raise Refused(403, "GatedRepo", "Ask for access.")
    if repo and (token in ("reader", "writer") or not repo.private): return repo
    raise Refused(404 if token else 401, "RepoNotFound", "Repository not found")


def files_of(repo: Repo, revision: str) -> tuple[str, dict[str, File]]:
    "Commit and files of a branch, a tag or a commit."
    sha = repo.refs.get(unquote(revision), unquote(revision))
    if sha not in repo.commits: raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return sha, repo.commits[sha]


def create(call: "Call") -> dict:
    call.must_write()
    said = call.json()
    name = f"{said.get('organization') or 'someone'}/{said['name']}"
    url = f"{call.address}/{name}"
    if name in REPOS: raise Refused(409, "", "You already created this model repo", url=url)
    REPOS[name] = Repo(said.get("visibility") == "private" or bool(said.get("private")))
    REPOS[name].commit("main", {".gitattributes": File(b"*.safetensors filter=lfs\n", False)})
    return {"url": url, "name": name}


def info(call: "Call", name: str, revision: str = "main") -> dict:
    repo = repo_of(name, call.token)
    sha, files = files_of(repo, revision)
    return {"id": name, "sha": sha, "private": repo.private, "siblings": [{"rfilename": f} for f in files]}


def tree(call: "Call", name: str, revision: str) -> list:
    _, files = files_of(repo_of(name, call.token), revision)
    out = []
    for path, file in files.items():
        large = {"oid": file.sha256, "size": len(file.data), "pointerSize": 130}
        row = {"type": "file", "path": path, "size": len(file.data), "oid": file.oid}
        out.append(row | ({"lfs": large} if file.lfs else {}))
    return out


def branch(call: "Call", name: str, new: str) -> dict:
    call.must_write()
    repo = repo_of(name, call.token)
    if unquote(new) in repo.refs: raise Refused(409, "", "Reference already exists")
    repo.refs[unquote(new)] = files_of(repo, call.json().get("startingPoint", "main"))[0]
    return {}


def tag(call: "Call", name: str, revision: str) -> dict:
    call.must_write()
    repo, new = repo_of(name, call.token), call.json()["tag"]
    if new in repo.refs: raise Refused(409, "", f"Tag {new} already exists")
    repo.refs[new] = files_of(repo, revision)[0]
    return {}


def preupload(call: "Call", name: str, revision: str) -> dict:
    call.must_write()
    _, files = files_of(repo_of(name, call.token), revision)
    def answer(path):
        mode = "lfs" if path.endswith(".safetensors") else "regular"
        known = files.get(path)
        return {"path": path, "uploadMode": mode, "shouldIgnore": False,
                "oid": known and (known.sha256 if known.lfs else known.oid)}
    return {"files": [answer(file["path"]) for file in call.json()["files"]]}


def batch(call: "Call", name: str) -> dict:
    call.must_write()
    repo_of(name, call.token)
    def answer(wanted):
        upload = {"actions": {"upload": {"href": f"{call.address}/-/large/{wanted['oid']}"}}}
        return wanted | ({} if wanted["oid"] in LARGE else upload)
    return {"transfer": "basic", "objects": [answer(o) for o in call.json()["objects"]]}


def upload(call: "Call", oid: str) -> dict:
    data = call.body()
    if hashlib.sha256(data).hexdigest() != oid: raise Refused(400, "", "the content has another SHA-256")
    LARGE[oid] = data
    return {}


def commit(call: "Call", name: str, revision: str) -> dict:
    call.must_write()
    repo = repo_of(name, call.token)
    files = dict(files_of(repo, revision)[1])
    for line in call.body().splitlines():
        kind, value = json.loads(line).values()
        if kind == "file": files[value["path"]] = File(base64.b64decode(value["content"]), False)
        if kind == "lfsFile": files[value["path"]] = File(LARGE[value["oid"]], True)
        if kind == "deletedFile": del files[value["path"]]
    if HOLD.is_set():
        HELD.set()
        threading.Event().wait(FOREVER)
    sha = repo.commit(unquote(revision), files)
    return {"commitOid": sha, "commitUrl": f"{call.address}/{name}/commit/{sha}"}


def resolve(call: "Call", name: str, revision: str, path: str) -> bytes:
    sha, files = files_of(repo_of(name, call.token), revision)
    if path not in files: raise Refused(404, "EntryNotFound", "Entry not found")
    file = files[path]
    call.headers_out = {"X-Repo-Commit": sha, "ETag": f'"{file.oid}"'}
    if file.lfs: call.headers_out |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(len(file.data))}
    return file.data


def hold(call: "Call") -> dict:
    HOLD.set()
    return {}


def held(call: "Call") -> dict: return {"held": HELD.is_set()}


def go_on(call: "Call") -> dict:
    HOLD.clear()
    return {}


NAME = r"([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable]] = [
    ("POST", r"/api/repos/create", create),
    ("POST", r"/api/validate-yaml", lambda call: {}),
    ("GET", rf"/api/models/{NAME}/tree/([^/]+)", tree),
    ("GET", rf"/api/models/{NAME}/revision/([^/]+)", info),
    ("GET", rf"/api/models/{NAME}", info),
    ("POST", rf"/api/models/{NAME}/branch/([^/]+)", branch),
    ("POST", rf"/api/models/{NAME}/tag/([^/]+)", tag),
    ("POST", rf"/api/models/{NAME}/preupload/([^/]+)", preupload),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", batch),
    ("PUT", r"/-/large/(\w+)", upload),
    ("POST", rf"/api/models/{NAME}/commit/([^/]+)", commit),
    ("GET", rf"/{NAME}/resolve/([^/]+)/(.+)", resolve),
    ("POST", r"/-/hold", hold),
    ("GET", r"/-/held", held),
    ("POST", r"/-/go-on", go_on),
]


class Call(BaseHTTPRequestHandler):
    "One request."

    protocol_version = "HTTP/1.1"

    @property
    def token(self) -> str: return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def address(self) -> str: return f"http://{self.headers['host']}"

    def must_write(self) -> None:
        if not self.token: raise Refused(401, "", "Invalid username or password.")
        if self.token != "writer": raise Refused(403, "", "you need write access")

    def body(self) -> bytes: return self.content

    def json(self) -> dict: return json.loads(self.content or b"{}")

    def read_all(self) -> bytes:
        "The request's body, however it is cut."
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self) -> None:
        "Find the route and give what it says."
        self.content, self.headers_out = self.read_all(), {}
        method, path = self.command.replace("HEAD", "GET"), urlsplit(self.path).path
        matches = ((route, re.fullmatch(pattern, path)) for verb, pattern, route in ROUTES if verb == method)
        route, match = next(((r, m) for r, m in matches if m), (None, None))
        try:
            if route is None or match is None: raise Refused(404, "", f"no route {method} {path}")
            status, out = 200, route(self, *match.groups())
        except Refused as e: status, out, self.headers_out = e.status, e.body, e.headers
        data = out if isinstance(out, bytes) else json.dumps(out).encode()
        self.send_response(status)
        for name, value in self.headers_out.items(): self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None: pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Call)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()
