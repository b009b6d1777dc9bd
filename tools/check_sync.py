"""Fail if `mfr/`, `tests/` or the notebooks' own form is not what the notebooks give."""
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nbdev.config import get_config

cfg = get_config()
root, lib = cfg.config_path, cfg.lib_path.name


def run(code: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def files(folder: Path, pattern: str) -> set[Path]:
    return {p.relative_to(folder) for p in folder.rglob(pattern) if "checkpoints" not in str(p)}


def same(a: Path, b: Path) -> bool:
    return filecmp.cmp(a, b, shallow=False)


bad = []
with tempfile.TemporaryDirectory() as name:
    tmp = Path(name)
    shutil.copy(root / "settings.ini", tmp)
    shutil.copytree(root / "nbs", tmp / "nbs", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    (tmp / lib).mkdir()
    shutil.copy(root / lib / "__init__.py", tmp / lib)  # written by hand: the public names
    run("from nbdev.clean import nbdev_clean; nbdev_clean()", tmp)
    run("from nbdev.doclinks import nbdev_export; nbdev_export()", tmp)
    for folder, pattern in (("nbs", "*.ipynb"), (lib, "*.py")):
        have, want = files(root / folder, pattern), files(tmp / folder, pattern)
        bad += [f"{folder}/{p}" for p in sorted(have ^ want)]
        bad += [f"{folder}/{p}" for p in sorted(have & want) if not same(root / folder / p, tmp / folder / p)]
if bad: print("out of step with nbs/ (run make export):", *bad, sep="\n  ", file=sys.stderr)
rc = subprocess.run([sys.executable, root / "tools/nb2tests.py", "--check"], cwd=root).returncode
sys.exit(bool(bad) or rc)
