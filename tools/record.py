"""Run an `mfr` command and keep its final figures, with the command, as a file in `results/`.

    python tools/record.py results/bench.json -- bench
"""
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import torch

from mfr import __version__
from mfr.cli import main


def record(target: Path, args: list[str], run: Path) -> None:
    "Write what a finished run says, and what made it."
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    made = {
        "command": " ".join(["mfr", *args]),
        "mfr": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made | {"metrics": metrics}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    target, dashes, *args = sys.argv[1:]
    if dashes != "--": sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as tmp:
        if status := main([*args, "--out", f"{tmp}/run"]): sys.exit(status)
        record(Path(target), args, Path(tmp) / "run")
