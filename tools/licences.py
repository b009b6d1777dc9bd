"""The licences of what `mfr` depends on, as a table: `LICENCES.md`.

    python tools/licences.py           # write it, from what is installed
    python tools/licences.py --check   # is it what is installed? the status is 1 if not

Names and licences come from the packages' own metadata, for the core and each extra of `settings.ini` and for whatever
these bring along.
"""
import argparse
import re
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SHORT = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
PARTS = ("gpt2", "eeg", "data", "models", "track", "ranks", "interop", "bench", "dev")
SAYS = re.compile(r"apache|mit|bsd|isc\b|psf|mozilla|mpl|gpl|unlicense|zlib|cc0|python software", re.I)


def named() -> dict[str, set[str]]:
    "What `settings.ini` asks for: name -> the core, or the extras."
    said = ConfigParser(delimiters=["="])
    said.read(ROOT / "settings.ini", encoding="utf-8")
    found: dict[str, set[str]] = {}
    for key, value in said["DEFAULT"].items():
        if not key.endswith("requirements"): continue
        part = key.removesuffix("requirements").rstrip("_") or "core"
        for one in value.split(): found.setdefault(canonicalize_name(Requirement(one).name), set()).add(part)
    return found


def brought(name: str, found: set[str]) -> None:
    "Add a package and all that it needs here."
    try: there = distribution(name)
    except PackageNotFoundError: return
    found.add(name)
    for one in map(Requirement, there.requires or ()):
        inner = canonicalize_name(one.name)
        if inner not in found and (one.marker is None or one.marker.evaluate({"extra": ""})): brought(inner, found)


def licence_of(name: str) -> str:
    "What a package says of its licence, in a few words."
    said = distribution(name).metadata
    if expression := said.get("License-Expression"): return expression
    classed = [c.rsplit(" :: ", 1)[-1] for c in said.get_all("Classifier") or () if c.startswith("License ::")]
    if known := [SHORT.get(c, c) for c in classed if c != "OSI Approved"]: return ", ".join(known)
    first = (said.get("License") or "").strip().splitlines()
    if first and len(first[0]) < 60 and SAYS.search(first[0]): return first[0]
    for file in distribution(name).files or ():
        if re.search(r"licen[cs]e|copying", file.name, re.I) and (text := Path(str(file.locate()))).is_file():
            lines = [line.strip() for line in text.read_text(errors="replace").splitlines() if SAYS.search(line)]
            if lines: return f"{lines[0][:60]} (its file)"
    return "not said"


def rows() -> list[tuple[str, str, str, str]]:
    "Package, version, licence, and what brings it."
    direct, found = named(), {}
    for name, parts in direct.items():
        below: set[str] = set()
        brought(name, below)
        for one in below: found.setdefault(one, set()).update(parts)
    told = []
    for name, parts in sorted(found.items()):
        by = "core" if "core" in parts else ", ".join(part for part in PARTS if part in parts)
        told.append((name, distribution(name).version, licence_of(name), by))
    return told


def page() -> str:
    "The table, after what it is."
    head = (
        "# Licences\n\n"
        "What the core and the extras bring along, with the licence that each package states. Nothing of it is part\n"
        "of this project's own files, whose licence is in `LICENSE`. Made by `python tools/licences.py`; `make audit`\n"
        "compares it with what is installed.\n\n| package | version | licence | wanted by |\n|---|---|---|---|\n"
    )
    return head + "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    path = ROOT / "LICENCES.md"
    if not parser.parse_args().check:
        path.write_text(page(), encoding="utf-8")
        return 0
    was = set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()
    now = set(page().splitlines())
    if was == now: return 0
    differ = sorted(line.split("|")[1].strip() for line in was ^ now if line.count("|") > 3)
    names = ", ".join(dict.fromkeys(differ))
    print(f"LICENCES.md: expected what is installed, it differs in {names} (python tools/licences.py)")
    return 1


if __name__ == "__main__": sys.exit(main())
