"""Build the wheel, install it into an empty environment of each Python that is there, and take the first steps with it.

    python tools/try_wheel.py [3.11 3.12 ...]
"""
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = "3.11", "3.12", "3.13"
FIRST_STEPS = textwrap.dedent("""
    import numpy as np
    import mfr

    rows = np.random.default_rng(0).normal(size=(2000, 16)).astype("float32")
    stack = mfr.SAEStack(mfr.SAEConfig(d_in=16, d_hidden=32, k=4, n=3))
    mfr.fit(stack, (rows[i : i + 100] for i in range(0, 2000, 100)), mfr.TrainConfig(steps=20))
    mfr.export(mfr.load(mfr.save(stack.eval(), "stack")), "theirs", to="saelens")
    print(mfr.find_consensus(stack.decoder).support.max(), len(mfr.load_foreign("theirs/member-0").decoder[0]))
    np.save("rows.npy", rows)
""")
COMMANDS = (
    ["--version"],
    ["synthetic", "--steps", "20", "--n", "2", "--test-rows", "256", "--out", "demo"],
    ["train", "--activations", "rows.npy", "--d-hidden", "32", "--k", "4", "--steps", "20", "--out", "own"],
    ["consensus", "own", "--activations", "rows.npy", "--out", "shared"],
    ["compare", "stack", "theirs", "--activations", "rows.npy", "--out", "compared"],
)


def run(*command: str | Path, cwd: Path) -> str:
    "What a command prints; its errors, if it fails."
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode: sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def try_with(python: str, wheel: Path, folder: Path) -> None:
    "Install the wheel beside nothing else, and use it."
    run(python, "-m", "venv", folder / "venv", cwd=folder)
    bin = folder / "venv" / "bin"
    torch = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    run(bin / "python", "-m", "pip", "install", "-q", torch, wheel, cwd=folder)
    run(bin / "python", "-m", "pip", "check", cwd=folder)
    run(bin / "python", "-c", FIRST_STEPS, cwd=folder)
    for command in COMMANDS: run(bin / "mfr", *command, cwd=folder)


def main(versions: list[str]) -> None:
    found = {version: python for version in versions if (python := python_of(version))}
    if not found: sys.exit(f"versions: expected one of Python {', '.join(versions)} on this machine, found none")
    with tempfile.TemporaryDirectory() as name:
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", name, ROOT, cwd=Path(name))
        wheel = next(Path(name).glob("*.whl"))
        for version, python in found.items():
            folder = Path(name) / version
            folder.mkdir()
            try_with(python, wheel, folder)
            shutil.rmtree(folder)
            print(f"Python {version}: {wheel.name} works in an empty environment")


def python_of(version: str) -> str | None:
    "An interpreter that starts: from the path, or of pyenv, whose names on the path may start none."
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    candidates = [*filter(None, [shutil.which(f"python{version}")]), *map(str, own)]
    return next((python for python in candidates if starts(python)), None)


def starts(python: str) -> bool: return subprocess.run([python, "-V"], capture_output=True).returncode == 0


if __name__ == "__main__": main(sys.argv[1:] or [*VERSIONS])
