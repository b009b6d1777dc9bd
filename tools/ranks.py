"""Train the same stack on 1, 2 and 4 ranks, with shares of rows and with shares of members, and keep what differs.

    python tools/ranks.py results/trust/ranks.json

Weights, bytes given to exchanges, seconds a step and memory of a rank. The processes talk by gloo on one machine: with
more ranks than cores, seconds say nothing about several machines.
"""
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from mfr import Mutual, SAEConfig, Superposition, SuperpositionConfig, TrainConfig, __version__
from mfr.members import part, save_whole
from mfr.ranks import gathered, is_main, join, leave, now
from mfr.train import Trainer

SEED, STEPS = 0, 17  # the last is the third that pulls
SIZES = {
    "rows": dict(d_in=256, d_hidden=4096, k=32, n=2),
    "members": dict(d_in=1024, d_hidden=4096, k=16, n=4),
}
BATCH = {"rows": 1022, "members": 256}  # 4 ranks do not divide the first
DATA = dict(n_features=2000, n_groups=4, n_active=4)


def peak() -> float: return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10  # MiB


def held() -> float:
    "MiB of this process at present."
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def worker(kind: str, folder: Path) -> None:
    "One rank: train, and tell what it took."
    join(member_ranks=int(os.environ["WORLD_SIZE"]) if kind == "members" else 1)
    torch.set_num_threads(1)
    size, b = SIZES[kind], BATCH[kind]
    batches = list(islice(Superposition(SuperpositionConfig(d_in=size["d_in"], **DATA)).batches(b, SEED), STEPS))
    warm = Trainer(part(SAEConfig(**size | {"d_hidden": 64}), SEED), TrainConfig(steps=2, mutual=Mutual(nearest=0)))
    for x in batches[:2]: warm.step(x)  # the loops are compiled
    del warm
    before = held()
    trainer = Trainer(part(SAEConfig(**size), SEED), TrainConfig(steps=STEPS, mutual=Mutual(), log_every=STEPS))
    moved, seconds = now().moved, []
    for x in batches:
        began = time.perf_counter()
        trainer.step(x)
        seconds.append(time.perf_counter() - began)
    mine = torch.tensor([peak() - before, (now().moved - moved) / STEPS, float(np.median(seconds)), seconds[0]])
    every = torch.stack(gathered(mine, now().all)).tolist()
    save_whole(trainer.stack, folder / "stack", overwrite=True)
    if is_main():
        rows = trainer.history.rows[-1]
        names = "MiB beyond imports and data", "bytes given to exchanges a step", "median seconds a step", "first step"
        told = {name: max(values) for name, values in zip(names, zip(*every))}
        (folder / "told.json").write_text(json.dumps(told | {"loss": rows["loss"], "penalty": rows["penalty"]}))
    leave()


def launched(kind: str, ranks: int, folder: Path) -> dict:
    "What so many ranks tell, and their weights."
    env = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={ranks}", __file__, "-", kind]
    subprocess.run([*command, str(folder)], env=env, check=True)
    return json.loads((folder / "told.json").read_text()) | load_file(folder / "stack" / "model.safetensors")


def compared(kind: str) -> dict:
    "1, 2 and 4 ranks, and how far the weights of the last two are from the first's."
    out = {}
    with tempfile.TemporaryDirectory() as tmp:
        found = {ranks: launched(kind, ranks, Path(tmp)) for ranks in (1, 2, 4)}
    for ranks, told in found.items():
        away = (told["W"] - found[1]["W"]).abs().max().item()
        numbers = {name: value for name, value in told.items() if not isinstance(value, torch.Tensor)}
        out[str(ranks)] = numbers | {"largest difference of a weight": away}
    size, b = SIZES[kind], BATCH[kind]
    return {"size": size | {"batch": b, "steps": STEPS, "seed": SEED}, "ranks": out}


def main(target: Path) -> None:
    "Write the file."
    made = {
        "command": f"python tools/ranks.py {target}",
        "mfr": __version__, "torch": torch.__version__, "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread a rank, gloo",
        "note": f"seconds of 4 ranks on {os.cpu_count()} cores are not those of 4 machines; others used them too",
    }
    made |= {kind: compared(kind) for kind in SIZES}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["-"]: worker(sys.argv[2], Path(sys.argv[3]))
    elif len(sys.argv) == 2: main(Path(sys.argv[1]))
    else: sys.exit(__doc__)
