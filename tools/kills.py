"""Kill what trains and what captures, go on, and compare with what was never killed.

    python tools/kills.py results/trust/kills.json --kills 500

A process that has imported everything forks others, each of which trains (`mfr synthetic`: two arms with restarts,
Mutual and AuxK, and the consensus of the members, a checkpoint at every step) or captures activations into a store.
Each is killed with SIGKILL at an instant that is drawn, and the next one goes on in the same folder: at any time; or
while a file of a drawn kind is half written, just before it takes its name, or just after. A run that comes to its end
is compared with one that was never killed, byte by byte, and another begins.
"""
import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import numba
import torch
from tqdm import tqdm

import mfr
from mfr.cli import read_command
from mfr.data.capture import CaptureConfig, capture_to_store
from mfr.data.tiny_gpt2 import load_tiny
from mfr.studies.synthetic_study import agreement_part
from mfr.study import run as run_one

SIZES = "--data.d-in 16 --data.n-features 24 --data.n-active 3 --d-hidden 24 --k 3 --n 2 --batch-size 32 --test-rows 64"
TRAINING = "--steps 24 --log-every 8 --restarts.limit 0 --restarts.every 10 --aux k --aux.dead-after 200"
TRAIN = f"synthetic {SIZES} {TRAINING} --save-every 0"
KINDS = {  # of files of a run, by what stands in their path
    "checkpoint": r"checkpoints/", "stack": r"stacks/.*safetensors", "stack's config": r"stacks/.*config\.json",
    "measured": r"measured/", "shard": r"shard-\d+", "manifest": r"manifest\.json", "config": r"/config\.json",
    "figure": r"figures/", "report": r"report\.html", "results": r"\.(csv|json)",
}  # fmt: skip
PATIENCE = 300  # seconds that a life may take
INSTANTS = "half written", "before it has its name", "after it has its name"


class Program(NamedTuple):
    "What is killed."

    run: Callable[[Path], None]  # into a folder, or on in it
    kept: Callable[[Path], dict[str, object]]  # what must be the same at the end
    kinds: tuple[str, ...]  # of files that it writes


class Plan(NamedTuple):
    "When to kill."

    kind: str  # of file; nothing for any time
    instant: str
    count: int  # it is the so-many-th file of that kind
    seconds: float  # or, for any time, so long after the fork


def kind_of(path: str) -> str:
    "What a file is to a run."
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, path)), "other")


def training() -> Program:
    "`mfr synthetic`, small."
    name, *args = TRAIN.split()
    study, options, *_ = read_command(name, args)

    def run(folder: Path) -> None:
        where = replace(options, out=folder, resume=(folder / "config.json").exists())
        asked = study.study(where)
        one_figure = (agreement_part,)  # as good as six
        run_one(replace(asked, sections=one_figure), where, study)

    def kept(folder: Path) -> dict[str, object]:
        files = [*folder.glob("stacks/*/*"), *(folder / f"{name}.csv" for name in ("history", "members", "latents"))]
        found: dict[str, object] = {str(file.relative_to(folder)): file.read_bytes() for file in files}
        numbers = json.loads((folder / "metrics.json").read_text())
        return found | {name: value for name, value in numbers.items() if "seconds" not in name}

    return Program(run, kept, tuple(kind for kind in KINDS if kind not in ("shard", "manifest")))


def capturing() -> Program:
    "A module of the tiny GPT-2, on sequences of random tokens, two in a shard."
    model, _ = load_tiny()
    tokens = torch.randint(0, 100, (24, 16), generator=torch.Generator().manual_seed(0))

    def run(folder: Path) -> None:
        capture_to_store(model, list(tokens), folder, CaptureConfig("transformer.h.0", shard=2), progress=False)

    def kept(folder: Path) -> dict[str, object]:
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    return Program(run, kept, ("shard", "manifest"))


def hook(plan: Plan, seed: int, say: Callable[[str], None]) -> None:
    "Have this process kill itself when it comes to the instant."
    left, move, sync = [plan.count], os.replace, os.fsync

    def comes(path: str, instant: str) -> bool:
        if kind_of(path) == plan.kind and instant == plan.instant: left[0] -= 1
        return not left[0] and kind_of(path) == plan.kind and instant == plan.instant

    def die() -> None:
        say(plan.kind)
        os.kill(os.getpid(), signal.SIGKILL)

    def moving(source, target, **kw) -> None:
        if comes(str(target), INSTANTS[1]): die()
        move(source, target, **kw)
        if comes(str(target), INSTANTS[2]): die()

    def syncing(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.is_file() and comes(str(path), INSTANTS[0]):
            os.truncate(path, random.Random(seed).randrange(path.stat().st_size + 1))
            die()
        sync(handle)

    os.replace, os.fsync = moving, syncing


def live(program: Program, folder: Path, plan: Plan | None, seed: int, log: Path) -> tuple[int, str]:
    "Fork, run and maybe kill; the status of the process, and of what kind the file is at which it died."
    told, tell = os.pipe()
    if not (process := os.fork()):
        with open(log, "wb") as file:
            for stream in (1, 2): os.dup2(file.fileno(), stream)
        tqdm.set_lock(RLock())  # that of all processes would stay taken by one that is killed
        signal.alarm(PATIENCE)
        try:
            if plan and plan.kind: hook(plan, seed, lambda word: os.write(tell, word.encode()))
            program.run(folder)
            os._exit(0)
        except BaseException as e:
            print(type(e).__name__, e, file=sys.stderr, flush=True)
            os._exit(1)
    os.close(tell)
    if plan and not plan.kind:
        time.sleep(plan.seconds)
        os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    with os.fdopen(told) as end: word = end.read()
    parts = [kind_of(f"{part}") for part in folder.rglob("*.part")]
    return status, word or (parts[0] if parts else "between files")


def drawn(rng: random.Random, program: Program, whole: float) -> Plan:
    "An instant; `whole` is how many seconds a run takes."
    if rng.random() < 0.3: return Plan("", "at any time", 0, whole * rng.random() ** 2)  # who goes on has less to do
    many = {"checkpoint": 16, "results": 6, "shard": 4, "manifest": 4}
    kind = rng.choice(program.kinds)
    return Plan(kind, rng.choice(INSTANTS), rng.randint(1, many.get(kind, 1)), 0.0)


def lives(program: Program, name: str, kills: int, seed: int, place: Path) -> Iterator[tuple[str, str]]:
    "What happened, again and again: (kind, instant) of a kill, or ('', what became of a run)."
    rng, log, run, killed = random.Random(f"{name} {seed}"), place / "log", 0, 0
    program.run(place / "whole")  # here, so that those which are forked find everything loaded
    expected, began = program.kept(place / "whole"), time.monotonic()
    live(program, place / "timed", None, seed, log)
    whole = time.monotonic() - began
    while True:
        plan = drawn(rng, program, whole) if killed < kills else None
        status, kind = live(program, place / f"{run}", plan, rng.randrange(2**32), log)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed += 1
            yield kind, plan.instant if plan else "by somebody else"
            continue
        if status: yield "", f"failed: {(log.read_text().strip().splitlines() or ['without a word'])[-1]}"
        else:
            found = program.kept(place / f"{run}")
            other = sorted(name for name in found | expected if found.get(name) != expected.get(name))
            yield "", f"other {', '.join(other)}" if other else "the same bits"
        shutil.rmtree(place / f"{run}")
        run += 1
        if plan is None: return


def main() -> None:
    "Kill, compare, write down."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    numba.config.THREADING_LAYER = "workqueue"  # pyright: ignore  # the one that a forked process can go on with
    made = {"command": f"python tools/kills.py {given.target} --kills {given.kills} --seed {given.seed}"}
    made |= {"mfr": mfr.__version__, "torch": torch.__version__, "machine": f"{platform.machine()}, Linux"}
    programs = {"training": (training(), given.kills - given.kills // 4), "capturing": (capturing(), given.kills // 4)}
    fell, ended, began = Counter(), Counter(), time.monotonic()
    for name, (program, kills) in programs.items():
        with tempfile.TemporaryDirectory() as place:
            for kind, what in lives(program, name, kills, given.seed, Path(place)):
                if kind: fell[f"{name}: {kind}, {what}"] += 1
                else: ended[f"{name}: {what}"] += 1
    made |= {"kills": fell.total(), "seconds": round(time.monotonic() - began), "runs compared": dict(ended)}
    given.target.parent.mkdir(parents=True, exist_ok=True)
    given.target.write_text(json.dumps(made | {"killed at": dict(sorted(fell.items()))}, indent=1) + "\n")
    if any(not what.endswith(": the same bits") for what in ended): sys.exit(f"not the same: {dict(ended)}")


if __name__ == "__main__":
    main()
