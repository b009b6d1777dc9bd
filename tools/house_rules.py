"""Count what the notebooks promise: `python tools/house_rules.py [NOTEBOOK ...]` names what breaks a rule.

An exported cell has at most 30 lines and one definition, a notebook at most 400 exported lines, a line at most 120
columns, and no two modules share their last name. What has to be otherwise stands below, with its reason.
"""
import ast
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LINES, CLASS_LINES, TOTAL, COLUMNS = 30, 60, 400, 120
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)

# "notebook: names of the cell's definitions" -> why it may be so
LONG_CELLS: dict[str, str] = {}
SEVERAL_DEFINITIONS: dict[str, str] = {}
LONG_LINES: dict[str, str] = {}

# notebook or module -> why it may be so
LONG_NOTEBOOKS: dict[str, str] = {
    "69_consensus_study": "the verdict of one command with the sentences, tables and cards of its one report",
    "16_recordings": "guards, the header of EDF, gaps and rates belong to reading, and no lower number is free",
}
SAME_NAMES: dict[str, str] = {}


class Cell(NamedTuple):
    "A code cell."

    notebook: str  # without .ipynb
    id: str
    source: list[str]  # lines, without directives
    exported: bool

    @property
    def body(self) -> list[ast.stmt]:
        "Its statements; a cell with a magic has none."
        try: return ast.parse("\n".join(self.source)).body
        except SyntaxError: return []

    @property
    def definitions(self) -> list[str]:
        "Names of its functions and classes."
        return [node.name for node in self.body if isinstance(node, DEFINITIONS)]

    @property
    def name(self) -> str:
        "What exceptions call it."
        return f"{self.notebook}: {', '.join(self.definitions) or self.id}"


def code_cells(notebook: Path) -> Iterator[Cell]:
    "The code cells of a notebook."
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code": continue
        lines = "".join(cell["source"]).splitlines()
        directives = {line.removeprefix("#|").split()[0] for line in lines if line.startswith("#|") and line != "#|"}
        source = [line for line in lines if not line.startswith("#|")]
        yield Cell(notebook.stem, cell.get("id", ""), source, bool({"export", "exports", "exporti"} & directives))


def notebooks() -> list[Path]:
    return sorted((ROOT / "nbs").glob("*.ipynb"))


def long_cells(cells: Iterable[Cell]) -> dict[str, str]:
    "Exported cells of more than 30 lines; classes and imports may have 60."
    def most(c): return LINES if any(isinstance(node, FUNCTIONS) for node in c.body) else CLASS_LINES
    return {c.name: f"{len(c.source)} lines" for c in cells if c.exported and len(c.source) > most(c)}


def several_definitions(cells: Iterable[Cell]) -> dict[str, str]:
    "Exported cells that define more than one function or class."
    return {c.name: f"{len(c.definitions)} definitions" for c in cells if c.exported and len(c.definitions) > 1}


def long_lines(cells: Iterable[Cell]) -> dict[str, str]:
    "Cells, exported or not, with lines of more than 120 columns."
    widths = {c.name: max(map(len, c.source), default=0) for c in cells}
    return {name: f"a line of {width} columns" for name, width in widths.items() if width > COLUMNS}


def long_notebooks(cells: Iterable[Cell]) -> dict[str, str]:
    "Notebooks with more than 400 exported lines."
    total = Counter()
    for c in cells:
        total[c.notebook] += len(c.source) * c.exported
    return {name: f"{lines} exported lines" for name, lines in total.items() if lines > TOTAL}


def same_names(modules: Iterable[str]) -> dict[str, str]:
    "Modules whose last names are those of others."
    modules = list(modules)
    times = Counter(m.split(".")[-1] for m in modules)
    return {m: "another module has this last name" for m in modules if times[m.split(".")[-1]] > 1}


def modules() -> list[str]:
    "Every module of the package."
    files = (p.relative_to(ROOT).with_suffix("") for p in (ROOT / "mfr").rglob("*.py"))
    return [".".join(p.parts) for p in sorted(files) if p.name not in ("__init__", "_modidx")]


def broken(paths: Iterable[Path]) -> list[str]:
    "A line for everything that breaks a rule without being excepted, and for every exception that nothing needs."
    cells = [cell for path in paths for cell in code_cells(path)]
    rules = (
        ("long cells", long_cells(cells), LONG_CELLS),
        ("cells with several definitions", several_definitions(cells), SEVERAL_DEFINITIONS),
        ("lines over 120 columns", long_lines(cells), LONG_LINES),
        ("notebooks over 400 exported lines", long_notebooks(cells), LONG_NOTEBOOKS),
        ("modules of one name", same_names(modules()), SAME_NAMES),
    )
    read = {c.notebook for c in cells} | set(modules())
    out = []
    for rule, found, excepted in rules:
        out += [f"{rule}: {name}: {what}" for name, what in found.items() if name not in excepted]
        out += [f"{rule}: {name}: excepted without need" for name in excepted.keys() - found.keys()
                if name.split(":")[0] in read]
    return out


if __name__ == "__main__":
    found = broken([Path(p) for p in sys.argv[1:]] or notebooks())
    print("\n".join(found))
    sys.exit(bool(found))
