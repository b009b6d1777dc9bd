"""Damage small valid files and read them: each is read or refused in a sentence of ours, soon and in little memory.

    python tools/fuzz.py                                       # 100 inputs a reader
    python tools/fuzz.py --inputs 110000 --out results/trust/fuzz.json --mended tools/mended.json
    python tools/fuzz.py --reader store --inputs 2000 --seed 7

Damages are drawn by Hypothesis; the same seed draws the same. Inputs are read in child processes, a thousand in each,
so that one that ends the process is a finding like others. The status is 1 if there is any. Nothing is written but in
a temporary folder: links lead to files that were made for it, and are never written through.
"""
import argparse
import gzip
import json
import multiprocessing
import os
import platform
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from importlib import import_module
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_readers import READERS, Reader
from hypothesis import HealthCheck, Phase, given, seed as seeded, settings, strategies as st

SECONDS, MEMORY, CHUNK = 5.0, 512 * 2**20, 1000
NUMBERS = (0, 1, -1, 2, 127, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -(2**31), 10**6, 10**9, 10**12)
STRANGE = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    10**9,
    10**12,
    10**30,
    "",
    "x",
    "0",
    [],
    {},
    [1],
    [[]],
    {"a": 1},
    [None],
    "../outside",
    "/nowhere/outside",
    "a/../../b",
    "x" * 3000,
    "\0",
    "F16",
    "I64",
    "BOOL",
    "F8_E4M3",
    "C64",
    "topk",
    "jumprelu",
    "gated",
    "mutual",
    "<f8",
    "|O",
    [0, 10**12],
    [10**6, 10**6],
)
FOREIGN = re.compile(
    r"has no attribute|not subscriptable|unsupported operand|out of (bounds|range)|codec can't|invalid literal"
    r"|NoneType|unexpected keyword|positional argument|could not convert|not iterable|cannot unpack|unhashable"
    r"|not supported between|must be real number|invalid shape|Error\b",
    re.I,
)


class Damage(NamedTuple):
    "One change of one file."

    kind: str
    file: int  # which of the files, counted round
    where: float  # in it, from 0 to 1
    value: int  # what to make of it


def at(data: bytes, where: float) -> int: return min(int(where * len(data)), max(0, len(data) - 1))


def changed_bytes(data: bytes, d: Damage) -> bytes:
    "Flips, cuts, splices and numbers in the place of others."
    i, rng = at(data, d.where), random.Random(d.value)
    if not data: return bytes([d.value % 256])
    if d.kind == "flip": return data[:i] + bytes([data[i] ^ 1 << d.value % 8]) + data[i + 1 :]
    if d.kind == "byte": return data[:i] + bytes([d.value % 256]) + data[i + 1 :]
    if d.kind == "cut": return data[:i]
    if d.kind == "drop": return data[:i] + data[i + 1 + d.value % 64 :]
    if d.kind == "splice":
        j = rng.randrange(len(data))
        return data[:i] + data[j : j + rng.randrange(1, 200)] + data[i:]
    if d.kind == "word":
        size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
        word = (rng.choice(NUMBERS) % 256**size).to_bytes(size, order)
        return data[:i] + word + data[i + size :]
    if d.kind == "digits":
        runs = [run for run in re.finditer(rb"\d+", data[: 2**14])]
        if not runs: return data
        run = runs[at(bytes(len(runs)), d.where)]
        number = str(rng.choice((*NUMBERS, "nan", 1e300, "9" * 5000))).encode()
        if rng.random() < 0.5: number = number[: len(run[0])].ljust(len(run[0]))
        return data[: run.start()] + number + data[run.end() :]
    if d.kind == "line":
        lines = data.splitlines(keepends=True)
        j, k = at(bytes(len(lines)), d.where), rng.randrange(len(lines))
        if rng.random() < 0.3: return b"".join(lines[:j] + lines[j + 1 :])
        if rng.random() < 0.5: return b"".join(lines[:j] + [lines[k]] + lines[j:])
        name, sign, _ = lines[j].partition(b"=")
        strange = json.dumps(rng.choice(STRANGE)).encode()
        return b"".join([*lines[:j], name + sign + b" " + strange + b"\n", *lines[j + 1 :]])
    return data


def changed_said(said: Any, rng: random.Random, depth: int = 0) -> Any:
    "A nest of dictionaries and lists with one thing changed in it."
    if isinstance(said, str) and said[:1] in "{[" and said: return changed_json(said.encode(), rng).decode()
    if not isinstance(said, dict | list) or not said or rng.random() < 0.15 * depth: return rng.choice(STRANGE)
    keys = list(said) if isinstance(said, dict) else list(range(len(said)))
    key, out = rng.choice(keys), dict(said) if isinstance(said, dict) else list(said)
    what = rng.random()
    if what < 0.12: del out[key]
    elif what < 0.2 and isinstance(out, dict): out[str(rng.choice(STRANGE))] = out.pop(key)
    elif what < 0.25 and isinstance(out, list): out *= 3
    elif what < 0.35: out[key] = said[rng.choice(keys)]
    else: out[key] = changed_said(said[key], rng, depth + 1)
    return out


def changed_json(text: bytes, rng: random.Random) -> bytes:
    "JSON with one thing changed, or with what JSON should not have."
    try: said = json.loads(text)
    except (ValueError, RecursionError): return text
    what, made = rng.random(), json.dumps(changed_said(said, rng), indent=1).encode()
    if what < 0.04: return b"[" * 10**5
    if what < 0.06: return b'{"a":' * 80 + made + b"}" * 80
    if what < 0.1: return made.replace(b"{", b'{"d_in": 3, "d_in": 4,', 1)
    return made


def changed_header(data: bytes, d: Damage) -> bytes:
    "JSON, or the header of a safetensors file, changed by its parts."
    rng = random.Random(d.value)
    length = int.from_bytes(data[:8], "little")
    if data[:1] == b"{" or length > len(data) - 8 or data[8:9] != b"{": return changed_json(data, rng)
    header = changed_json(data[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def changed_archive(data: bytes, d: Damage) -> bytes:
    "An archive, or a packed stream, with what is in it changed and packed again; or with a bomb in it."
    rng = random.Random(d.value)
    inner = d._replace(kind=rng.choice(("flip", "byte", "cut", "drop", "splice", "word", "digits")), where=rng.random())
    if data[:2] == b"\x1f\x8b":
        try: return gzip.compress(changed_bytes(gzip.decompress(data), inner), 1)
        except (OSError, EOFError, ValueError, zlib.error): return data
    out = BytesIO()
    try:
        with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w", rng.choice((0, 0, 8))) as new:
            names, bomb = old.namelist(), rng.random() < 0.02
            which = rng.choice(names)
            for name in names:
                content = old.read(name)
                if name == which:
                    content = content[:128] + bytes(2**28 + 2**20) if bomb else changed_bytes(content, inner)
                if bomb: new.writestr(name, content, 8, 1)
                else: new.writestr(name if rng.random() > 0.03 else str(rng.choice(STRANGE[14:32])) or "x", content)
    except (
        zipfile.BadZipFile,
        ValueError,
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        IndexError,
        zlib.error,
    ):
        return data
    return out.getvalue()


def put(folder: Path, file: Path, data: bytes) -> None:
    "Write a file of the damaged folder, and never through a link: nothing else may be touched."
    if file.is_symlink() or not file.resolve().is_relative_to(folder.resolve()):
        raise RuntimeError(f"expected a file in {folder}, got {file}")
    file.write_bytes(data)


def plain_files(folder: Path) -> list[Path]:
    "The files of a folder, links left out."
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def reseal(folder: Path) -> None:
    "Let the manifest of a store, or the sums of a stack, say what is there now: damage reaches what is behind them."
    from mfr.data.store import file_checksum
    from mfr.hub import SUMS, sum_of

    path, files = folder / "manifest.json", {file.name: file for file in plain_files(folder)}
    if SUMS in files:
        lines = [f"{sum_of(file)}  {name}\n" for name, file in files.items() if name != SUMS]
        put(folder, files[SUMS], "".join(lines).encode())
    if path.name not in files: return
    try: manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError): return
    shards = manifest.get("shards") if isinstance(manifest, dict) else None
    for shard in shards if isinstance(shards, list) else ():
        file = files.get(str(shard.get("file"))) if isinstance(shard, dict) else None
        if file: shard |= {"bytes": file.stat().st_size, "crc32": file_checksum(file)}
    put(folder, path, json.dumps(manifest).encode())


BYTES = ("flip", "byte", "cut", "drop", "splice", "word", "digits", "line")
KINDS = (*BYTES, "header", "header", "header", "archive", "archive", "swap", "rename", "remove", "link", "outside")


def damage(folder: Path, d: Damage) -> None:
    "Change a folder."
    files = plain_files(folder)
    if not files: return
    file, other = files[d.file % len(files)], files[d.value % len(files)]
    if d.kind in BYTES: put(folder, file, changed_bytes(file.read_bytes(), d))
    elif d.kind == "header": put(folder, file, changed_header(file.read_bytes(), d))
    elif d.kind == "archive": put(folder, file, changed_archive(file.read_bytes(), d))
    elif d.kind == "remove": file.unlink()
    elif d.kind == "swap":
        one, two = file.read_bytes(), other.read_bytes()
        put(folder, file, two)
        put(folder, other, one)
    elif d.kind == "rename":
        file.rename(file.with_name(("x.json", "other.bin", f"{file.name}.gz", "x.npy", "ü.pt")[d.value % 5]))
    else:  # what lies beside the folder is made for this
        target = folder.parent / f"outside-{d.value}"
        if d.kind == "link": target.write_bytes(file.read_bytes())
        else: target.write_text("outside:x:0:0:\n")
        file.unlink()
        file.symlink_to(target)


class Slow(BaseException):
    "An input took too long."


def in_time(*_: Any) -> None: raise Slow


def peak() -> int:
    "The most memory since `forget_peak`, in bytes."
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def forget_peak() -> int:
    "Let the peak begin anew; the memory that is in use."
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def is_ours(e: BaseException, folder: Path, names: set[str]) -> bool:
    "Is it one sentence, which names a file or a field and says what was expected?"
    from mfr.cli import sentence_of

    if not isinstance(e, ValueError | OSError): return False
    sentence = sentence_of(e)
    head = sentence.split(" (")[0]
    named = str(folder) in head or any(name in head for name in names) or re.match(r"[\w.,\[\] ]+: expected ", head)
    told = "expected" in sentence or (isinstance(e, OSError) and e.strerror)
    return bool(
        sentence and told and named and "\n" not in sentence and len(sentence) < 2500 and not FOREIGN.search(head)
    )


def outcome(reader: Reader, folder: Path, names: set[str]) -> tuple[str, str, float, int]:
    "What becomes of an input: a word, a description if it is a finding, seconds, bytes."
    before, began = forget_peak(), time.perf_counter()
    what, told = "read", ""
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        reader.read(folder)
    except Slow: what, told = "slow", f"more than {SECONDS} s"
    except Exception as e:
        if is_ours(e, folder, names): what = "refused"
        else:
            frames = [f for f in traceback.extract_tb(e.__traceback__) if "/mfr/" in f.filename]
            place = f"{Path(frames[-1].filename).name}:{frames[-1].name}" if frames else "?"
            what, told = "foreign", f"{place}: {type(e).__name__}: {str(e)[:300]}"
    finally: signal.setitimer(signal.ITIMER_REAL, 0)
    seconds, used = time.perf_counter() - began, max(0, peak() - before)
    if used > MEMORY and what in ("read", "refused"): what, told = "large", f"{used / 2**20:.0f} MB"
    return what, told, seconds, used


def damages():
    "A few changes at once."
    one = st.builds(
        Damage, st.sampled_from(KINDS), st.integers(0, 15), st.floats(0, 1, exclude_max=True), st.integers(0, 2**32 - 1)
    )
    return st.tuples(st.integers(0, 31), st.lists(one, min_size=1, max_size=3), st.booleans())


def spoilt(seeds: list[Path], place: Path, drawn: tuple) -> Path:
    "One of the valid folders, copied and damaged."
    which, changes, sealed = drawn
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    folder = place / "in"
    shutil.copytree(seeds[which % len(seeds)], folder)
    for change in changes: damage(folder, change)
    if sealed: reseal(folder)
    return folder


def make_seeds(reader: Reader, place: Path) -> None:
    "Its valid folders, each of which can be read."
    place.mkdir(parents=True)
    reader.make(place)
    for folder in sorted(place.iterdir()): reader.read(folder)  # and leaves nothing beside it


def seeds_of(reader: Reader, place: Path) -> list[Path]:
    "Valid folders, made in a child: threads that have been at work here could not go on in the next one."
    child = multiprocessing.get_context("fork").Process(target=make_seeds, args=(reader, place))
    child.start()
    child.join()
    if child.exitcode: raise RuntimeError(f"expected valid files in {place}, they could not be made or read")
    return sorted(place.iterdir())


def chunk(reader: Reader, seeds: list[Path], place: Path, seed: int, inputs: int, log: Path) -> None:
    "Read some inputs, in this process; what comes of them is written line by line."
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, in_time)
    size = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + 8 * 2**30,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**31, 2**31))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = {file.name for folder in seeds for file in folder.rglob("*")} | {
        "in",
        "x.json",
        "other.bin",
        "x.npy",
        "ü.pt",
    }
    names = {name for name in names if len(name) > 3}

    with open(log, "a", buffering=1) as out:
        @seeded(seed)
        @settings(max_examples=inputs, database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(damages())
        def one(drawn):
            out.write(json.dumps(["begun", drawn]) + "\n")
            folder = spoilt(seeds, place, drawn)
            out.write(json.dumps(["ended", *outcome(reader, folder, names)]) + "\n")

        reader.read(seeds[0])  # whatever is loaded or compiled once is no input's time
        one()


def run_chunk(*args: Any) -> list:
    "Do a chunk in a child; its lines, and how it ended if it was not well."
    log = args[-1]
    log.write_text("")
    child = multiprocessing.get_context("fork").Process(target=chunk, args=args)
    child.start()
    size, since = -1, time.monotonic()
    while child.is_alive():
        child.join(0.2)
        if (now := log.stat().st_size) != size: size, since = now, time.monotonic()
        elif time.monotonic() - since > 12 * SECONDS: child.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("]")]
    if child.exitcode and lines and lines[-1][0] == "begun":
        lines.append(["ended", "ended the process", f"exit status {child.exitcode}", 0.0, 0])
    elif child.exitcode: raise RuntimeError(f"expected a chunk of inputs to be read, it ended with {child.exitcode}")
    return lines


def study(name: str, inputs: int, seed: int, place: Path, shown: bool = True) -> dict:
    "Damage the files of one reader so many times."
    reader, began = READERS[name], time.monotonic()
    seeds = seeds_of(reader, place / "seeds")
    counts, findings, slowest, largest = Counter(), {}, 0.0, 0
    part = 0
    while (left := inputs - sum(counts.values())) > 0:
        lines = run_chunk(reader, seeds, place / "now", seed + 1000 * part, min(CHUNK, left), place / "log")
        part += 1
        for (_, drawn), (_, what, told, seconds, used) in zip(lines[::2], lines[1::2]):
            counts[what] += 1
            slowest, largest = max(slowest, seconds), max(largest, used)
            if what in ("read", "refused"): continue
            known = re.sub(r"\d+|'[^']*'|/\S+", "#", told)[:120]
            findings.setdefault((what, known), {"what": what, "told": told, "seen": 0, "drawn": drawn})["seen"] += 1
    found = {"inputs": sum(counts.values()), "outcomes": dict(counts), "slowest_s": round(slowest, 3),
             "largest_MB": round(largest / 2**20, 1), "seconds": round(time.monotonic() - began, 1),
             "findings": list(findings.values())}
    if shown: print(name, json.dumps({k: v for k, v in found.items() if k != "findings"}), flush=True)
    for one in found["findings"] if shown else ():
        print("   ", one["what"], one["seen"], one["told"], one["drawn"], flush=True)
    return found


def shares(inputs: int, names: list[str]) -> dict[str, int]:
    "How many inputs each reader gets."
    whole = sum(READERS[name].share for name in names)
    return {name: max(1, round(inputs * READERS[name].share / whole)) for name in names}


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100 * len(READERS), help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--out", type=Path, help="a JSON file to write")
    parser.add_argument("--mended", type=Path, help="a JSON list of what earlier runs have found, to go with it")
    given_ = parser.parse_args(args)
    for name in ("torch", "pandas", "pyarrow.parquet", "mne", "mfr.cli", "mfr.studies.synthetic_study"):
        import_module(name)
    here = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    found = {}
    with tempfile.TemporaryDirectory(dir=here, prefix="fuzz-") as tmp:
        for i, (name, many) in enumerate(shares(given_.inputs, given_.reader).items()):
            found[name] = study(name, many, given_.seed + 10**6 * i, Path(tmp) / str(i))
    if given_.out: write(given_, found)
    total, bad = sum(one["inputs"] for one in found.values()), sum(len(one["findings"]) for one in found.values())
    print(f"{total:,} inputs, {bad} findings")
    return int(bool(bad))


def write(given_: argparse.Namespace, found: dict[str, dict]) -> None:
    "Keep what was found, with what found it."
    packages = (
        "mfr",
        "hypothesis",
        "torch",
        "numpy",
        "safetensors",
        "pyarrow",
        "mne",
        "edfio",
        "pymatreader",
        "pandas",
    )
    outcomes = sum((Counter(one["outcomes"]) for one in found.values()), Counter())
    said = {
        "command": "python tools/fuzz.py " + " ".join(sys.argv[1:]),
        "seed": given_.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "limits": {"seconds": SECONDS, "MB_above_what_was_in_use": MEMORY // 2**20},
        "inputs": sum(one["inputs"] for one in found.values()),
        "outcomes": dict(outcomes),
        "slowest_s": max(one["slowest_s"] for one in found.values()),
        "largest_MB": max(one["largest_MB"] for one in found.values()),
        "mended": json.loads(given_.mended.read_text()) if given_.mended else [],
        "readers": found,
    }
    given_.out.parent.mkdir(parents=True, exist_ok=True)
    given_.out.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__": sys.exit(main())
