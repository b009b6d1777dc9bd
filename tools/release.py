"""Train the stacks that are released, and pack them: an archive a study, each stack with a card and for SAELens too.

    python tools/release.py gpt2 [--out released] [--steps 20 ...]    # what follows goes to `mfr`
"""
import argparse
import json
import shlex
import sys
import tarfile
import tempfile
from pathlib import Path

import mfr
from mfr.cli import main
from mfr.hub import Shared

RECIPES = {  # four plain members, and the SAE made of what they share
    "gpt2": "gpt2 --k 12 --n 4 --mutual None --merge --steps 3500 --lr-decay 0.3",
    "eeg": "eeg --k 24 --n 4 --mutual None --merge",
}
SHOWN = "FVU", "loss", "L0", "dead", "CE", "loss recovered"


def figures_of(metrics: dict, arm: str) -> dict[str, float]:
    "What a run measured of an arm, means over its members."
    found = {name: metrics.get(f"{arm}/{name}/mean", metrics.get(f"{arm}/{name}/seed0/member0")) for name in SHOWN}
    return {name: value for name, value in found.items() if value is not None}


def pack(run: Path, name: str, command: str, out: Path) -> Path:
    "The stacks of a run in one archive: weights, card, sums, and folders for SAELens."
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    folder = run.parent / f"mfr-{name}-{mfr.__version__}"
    for stack in sorted((run / "stacks").iterdir()):
        loaded, (arm, _) = mfr.load(stack), stack.name.rsplit("-", 1)
        loaded.metadata |= {"command": command, "mfr": mfr.__version__}
        card = {"repo_id": f"{folder.name}/{stack.name}", "figures": figures_of(metrics, arm), "here": True}
        Shared(loaded).save_pretrained(folder / stack.name, model_card_kwargs=card)
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f"{folder.name}.tar.gz"
    with tarfile.open(archive, "w:gz") as file: file.add(folder, folder.name)
    return archive


def release(name: str, out: Path, more: list[str]) -> None:
    "Train, pack, and say where it is."
    command = [*shlex.split(RECIPES[name]), *more]
    with tempfile.TemporaryDirectory() as made:
        run = Path(made) / "run"
        if status := main([*command, "--out", str(run)]): sys.exit(status)
        archive = pack(run, name, shlex.join(["mfr", *command]), out)
    print(f"released: {archive}, {archive.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--out", type=Path, default=Path("released"))
    asked, rest = parser.parse_known_args()
    release(asked.name, asked.out, rest)
