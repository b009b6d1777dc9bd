"""The pages that nobody writes: the reference, and the groups that the notebooks of the modules are shown in.

They are written into `nbs/` when a build begins, and removed when it has ended.
"""
from __future__ import annotations

import importlib
import inspect
import json
import re
import shutil
from pathlib import Path

import nbdev_sphinx as nb
from nbdev.config import get_config

GROUPS = {  # page: its title, the notebooks in it, one sentence
    "foundations": ("Foundations", "0[0-5]*", "What everything else stands on, and what is made fast."),
    "data": ("Data", "0[679]* 1[0-4]* 29*", "Where examples come from: made, read, or taken from a language model."),
    "model": ("Model", "2[0-7]* 72*", "From one batch to codes and reconstructions, and stacks on disk."),
    "objective": ("Objective", "3[0-3]*", "What a stack is trained for beside reconstruction."),
    "training": ("Training and its cost", "08* 28* 36* 3[89]* 4[0-2]* 44* 57* 81*", "The loop and what it costs."),
    "consensus": ("What SAEs share", "3[457]* 43* 59*", "What several SAEs share, and what that is worth."),
    "eeg": ("EEG", "1[5-9]* 4[5-9]*", "From a recording to windows, and back to a recording."),
    "results": ("Results", "5[0-6]* 58* 73*", "Numbers, figures and pages that say what was found."),
    "studies": ("Comparisons and commands", "60* 67* 7[6-9]* 9[01]*", "What a comparison is, and how it is run."),
}
STUDIES = "6[1-68-9]* 7[01]*"  # their modules are in the reference, their notebooks a part of their own


def title(path: Path) -> tuple[str, str]:
    "A notebook's title, and the sentence below it."
    cell = next(c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "markdown")
    text = "".join(cell["source"])
    head, lead = re.search(r"^# (.*)", text, re.M), re.search(r"^> (.*)", text, re.M)
    return head[1] if head else path.stem, lead[1] if lead else ""


def found(globs: str) -> list[Path]:
    "Notebooks, by their numbers."
    return sorted(p for g in globs.split() for p in get_config().nbs_path.glob(f"{g}.ipynb"))


def source_of(mod: str) -> str:
    "The notebook that a module is made from."
    text = Path(importlib.import_module(mod).__file__).read_text(encoding="utf-8")
    return re.search(r"File to edit: \S*?([\w.]+)\.ipynb", text)[1]


def modules(globs: str) -> list[str]:
    "The modules of some notebooks, in their order."
    stems = [p.stem for p in found(globs)]
    return sorted((m for m in nb.public() if source_of(m) in stems), key=lambda m: stems.index(source_of(m)))


def toctree(entries: list[str]) -> str: return "\n".join(["```{toctree}", ":hidden:", "", *entries, "```"])


def how(globs: str, head: str, lead: str) -> str:
    "A group of notebooks."
    rows = [f"[{t}](../{p.name})\n: {nb.quarto2myst(s)}\n" for p in found(globs) for t, s in [title(p)]]
    return "\n\n".join([f"# {head}", lead, *rows, toctree([f"../{p.stem}" for p in found(globs)])])


def summary(mod: str, name: str) -> str:
    "The first sentence of what an object says of itself."
    obj = getattr(importlib.import_module(mod), name)
    if not (inspect.isclass(obj) or inspect.isfunction(obj)): return "A constant."
    said = (inspect.getdoc(obj) or "").split("\n\n")[0]
    return "" if said.startswith(f"{name}(") else re.sub(r"\s+", " ", said).replace("|", "\\|")


def home(name: str) -> str:
    "The module that has a name of the package's."
    obj = getattr(importlib.import_module(get_config().lib_path.name), name)
    if (mod := getattr(obj, "__module__", None)) in nb.public() and not isinstance(obj, dict): return mod
    having = (m for m, names in nb.public().items() if name in names)
    return next(m for m in having if getattr(importlib.import_module(m), name) is obj)


def link(mod: str, name: str) -> str: return f"{{py:obj}}`{name} <{mod}.{name}>`"


def section(mod: str) -> str:
    "One module in the reference."
    nb._own = mod
    stem = source_of(mod)
    head = f"## `{mod}`\n\nTaught in [{title(get_config().nbs_path / f'{stem}.ipynb')[0]}](../{stem}.ipynb)."
    return "\n\n".join([head, *(nb.api(name, mod, home=True) for name in nb.public()[mod])])


def reference(globs: str, head: str, lead: str) -> str:
    "The modules of a group."
    head = head if head == "EEG" else head[0].lower() + head[1:]
    return "\n\n".join([f"# Reference: {head}", lead, *map(section, modules(globs))])


def overview(groups: dict[str, tuple[str, str, str]]) -> str:
    "The way into the reference."
    lib = importlib.import_module(get_config().lib_path.name)
    names = "\n".join(f"| {link(m, n)} | {summary(m, n)} |" for n in lib.__all__ for m in [home(n)])
    rows = []
    for page, (_, globs, _) in groups.items():
        for mod in modules(globs):
            stem = source_of(mod)
            words = ", ".join(link(mod, n) for n in nb.public()[mod])
            rows.append(f"`{mod}` ([page]({page}.md), [notebook](../{stem}.ipynb))\n: {words}\n")
    return "\n\n".join([
        "# Reference", "Every public name, with its signature, its shapes and its methods. "
        "All names in one alphabet: {ref}`genindex`.",
        f"## `from {lib.__name__} import ...`", f"| name | what it is |\n|:--|:--|\n{names}",
        "## By module", *rows, toctree([f"{head} <{page}>" for page, (head, *_) in groups.items()]),
    ])


def write(app):
    "All of them, into the folder of the notebooks."
    top = Path(app.srcdir)
    pages = {f"how/{k}": how(globs, head, lead) for k, (head, globs, lead) in GROUPS.items()}
    groups = {**GROUPS, "of_studies": ("Studies", STUDIES, "Sources, arms, measures and figures of each study.")}
    pages |= {f"reference/{k}": reference(globs, head, lead) for k, (head, globs, lead) in groups.items()}
    pages["reference/index"] = overview(groups)
    for name, text in pages.items():
        path = top / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def remove(app, error=None):
    for folder in ("how", "reference"): shutil.rmtree(Path(app.srcdir) / folder, ignore_errors=True)


def setup(app):
    app.connect("config-inited", lambda app, config: write(app))
    app.connect("build-finished", remove)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
