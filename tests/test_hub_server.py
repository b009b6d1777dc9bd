"""Pushing to a Hub and reading from it: a server in a process of its own, and clients in theirs."""
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

import pytest

HERE = Path(__file__).parent
WAIT = 120.0  # seconds for a client on a busy machine
BEGIN = """
import json, sys, torch
from mfr import SAEConfig, SAEStack
from mfr.hub import from_pretrained, push_to_hub

def made(seed, relu=True, **metadata):
    stack = SAEStack(SAEConfig(8, 20, k=(2, 4), n=2, relu=relu), seed)
    stack.metadata = metadata
    return stack.eval()

def same(a, b):
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    return a.encode(x).values.equal(b.encode(x).values) and a(x)[0].equal(b(x)[0])

def sentence(f, *args, **kw):
    try: f(*args, **kw)
    except (OSError, ValueError) as e: return f"{type(e).__name__}: {e}"
    return "no error"
"""


class Hub(NamedTuple):
    "A server, and how to talk to it."

    address: str
    begin: Callable[..., subprocess.Popen]  # a client that runs this code

    def run(self, code: str, **env: str) -> dict:
        "What a client prints last, as JSON."
        client = self.begin(code, **env)
        out, err = client.communicate(timeout=WAIT)
        assert client.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    def ask(self, method: str, path: str) -> dict:
        with urlopen(Request(self.address + path, method=method), timeout=WAIT) as answer: return json.load(answer)


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[Hub]:
    home = tmp_path_factory.mktemp("hub")
    server = subprocess.Popen([sys.executable, str(HERE / "hub_server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    address = f"http://127.0.0.1:{int(server.stdout.readline())}"

    def begin(code: str, **env: str) -> subprocess.Popen:
        ours = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "writer",
                "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])}
        command = [sys.executable, "-c", BEGIN + code]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=os.environ | ours | env, stdout=pipe, stderr=pipe, text=True)

    yield Hub(address, begin)
    server.kill()
    server.wait()


def test_two_versions_a_branch_and_a_tag(hub):
    said = hub.run("""
first, other = made(1, source="a"), made(3)
second = made(2, relu=False, source="b")  # which SAELens would compute otherwise
addresses = [push_to_hub(first, "me/stack", {"FVU": 0.25}, tag="v1")]
addresses += [push_to_hub(second, "me/stack"), push_to_hub(second, "me/stack")]
addresses += [push_to_hub(other, "me/stack", branch="try/other")]
one, two = (a.split("/")[-1] for a in addresses[:2])
read = [(first, one), (first, "v1"), (second, two), (second, "main"), (second, None), (other, "try/other")]
again = from_pretrained("me/stack", "v1")
from huggingface_hub import HfApi, ModelCard
files = {r: sorted(HfApi().list_repo_files("me/stack", revision=r)) for r in (one, two)}
files = [files[one], files[two]]
print(json.dumps({"addresses": addresses, "same": [same(s, from_pretrained("me/stack", r)) for s, r in read],
                  "about": again.metadata, "files": files, "card": ModelCard.load("me/stack").text,
                  "training": again.training, "other": same(first, second)}))
""")
    assert said["same"] == [True] * 6 and not said["other"] and not said["training"]
    assert said["addresses"][0].startswith(f"{hub.address}/me/stack/commit/")
    assert said["addresses"][1] == said["addresses"][2] != said["addresses"][0], "nothing new is no new version"
    ours = [".gitattributes", "README.md", "SHA256SUMS", "config.json", "model.safetensors"]
    theirs = [f"saelens/member-{i}/{file}" for i in range(2) for file in ("cfg.json", "sae_weights.safetensors")]
    assert said["files"] == [[*ours, *theirs], ours], "what the new version lacks is gone"
    assert said["about"] == {"source": "a"} and "| source | b |" in said["card"]


def test_a_push_that_dies_leaves_the_old_version(hub):
    hub.run("print(json.dumps(push_to_hub(made(1), 'me/dies')))")
    hub.ask("POST", "/-/hold")
    client = hub.begin("push_to_hub(made(2), 'me/dies')")
    until = time.monotonic() + WAIT
    while not hub.ask("GET", "/-/held")["held"]:
        assert time.monotonic() < until and client.poll() is None
        time.sleep(0.1)
    client.kill()  # all files are there, their commit is not
    client.communicate()
    hub.ask("POST", "/-/go-on")
    said = hub.run("""
old = same(made(1), from_pretrained("me/dies"))
push_to_hub(made(2), "me/dies")
print(json.dumps([old, same(made(2), from_pretrained("me/dies"))]))
""")
    assert said == [True, True]


def test_what_cannot_be_found_or_done_is_told(hub):
    said = hub.run("""
from huggingface_hub import HfApi
push_to_hub(made(1), "me/hidden", private=True)
push_to_hub(made(1), "me/gated")
HfApi().create_repo("me/empty")
HfApi().create_repo("me/bert")
HfApi().upload_file(path_or_fileobj=b'{"hidden_size": 768}', path_in_repo="config.json", repo_id="me/bert")
HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="model.safetensors", repo_id="me/bert")
HfApi().upload_file(path_or_fileobj=b"cut", path_in_repo="model.safetensors", repo_id="me/gated")
read = [("me/typo",), ("me/hidden", "v7"), ("me/empty",), ("me/bert",), ("me/gated",)]
print(json.dumps([sentence(from_pretrained, *args) for args in read]))
""")
    starts = [
        "FileNotFoundError: repo_id: expected a repository of the Hub, there is no me/typo",
        "FileNotFoundError: revision: expected a branch, a tag or a commit of me/hidden, it has no 'v7'",
        "FileNotFoundError: repo_id: expected a repository with a stack, me/empty has no config.json",
        "ValueError: repo_id: expected a repository with a stack, the config.json of me/bert has no d_hidden",
        "ValueError: ",
    ]
    assert all(s.startswith(start) for s, start in zip(said, starts, strict=True)), said
    assert "model.safetensors: expected the file that SHA256SUMS names" in said[-1]
    assert all("\n" not in s for s in said)


def test_who_may_not_is_told(hub):
    hub.run("push_to_hub(made(1), 'me/secret', private=True); push_to_hub(made(1), 'me/gated-too'); print(1)")
    reader = hub.run("""
print(json.dumps([sentence(push_to_hub, made(1), "me/secret"), sentence(push_to_hub, made(1), "me/fresh"),
                  sentence(from_pretrained, "me/gated-too"), sentence(from_pretrained, "me/secret", token=False)]))
""", HF_TOKEN="reader")
    may_not = "PermissionError: token: expected one that may write to me/{}"
    assert reader[0].startswith(may_not.format("secret")) and reader[1].startswith(may_not.format("fresh"))
    assert reader[2] == "PermissionError: token: expected one that may read me/gated-too, which is gated"
    assert reader[3].startswith("FileNotFoundError: repo_id: expected a repository of the Hub, there is no me/secret")
    nobody = hub.run("print(json.dumps(sentence(push_to_hub, made(1), 'me/fresh')))", HF_TOKEN="")
    assert nobody.startswith(may_not.format("fresh"))


def test_offline_is_told_and_what_was_fetched_is_still_there(hub):
    hub.run("push_to_hub(made(1), 'me/kept'); from_pretrained('me/kept'); print(1)")
    code = """
import time
began = time.monotonic()
said = [same(made(1), from_pretrained("me/kept")), sentence(from_pretrained, "me/other"),
        sentence(push_to_hub, made(1), "me/other")]
print(json.dumps([*said, time.monotonic() - began, sentence(from_pretrained, "me/other", local_files_only=True)]))
"""
    for env in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        kept, read, push, seconds, local = hub.run(code, **env)
        where = env.get("HF_ENDPOINT", hub.address)
        assert kept and seconds < 10
        for said, give in ((read, "and nothing of it was fetched before"), (push, ""), (local, "")):
            assert said.startswith(f"ConnectionError: repo_id: expected the Hub at {where} to give or take me/other")
            assert give in said and "\n" not in said
