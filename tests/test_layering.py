"""Imports point one way: a module imports only modules whose notebooks have lower numbers."""
import ast
import subprocess
import sys

import pytest
from nbdev.config import get_config

CFG = get_config()
LIB = CFG.lib_path


def numbered():
    "Module -> number of the notebook it is made from."
    out = {}
    for path in sorted(LIB.rglob("*.py")):
        head = path.read_text(encoding="utf-8").split("\n", 3)
        source = next((line.split("nbs/")[1] for line in head if "File to edit" in line), None)
        module = ".".join(path.relative_to(LIB.parent).with_suffix("").parts)
        if source: out[module] = source.split("/")[-1].split("_")[0]  # "34", or "34b" behind it
    return out


NUMBER = numbered()


def imported(module):
    "The modules of the package that a module imports, relative imports resolved."
    tree = ast.parse((LIB.parent / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names if a.name.startswith("mfr."))
        if not isinstance(node, ast.ImportFrom): continue
        above = module.split(".")[: -node.level] if node.level else []
        full = ".".join([*above, node.module or ""]).strip(".")
        if full == "mfr": yield from (f"mfr.{a.name}" for a in node.names)
        elif full.startswith("mfr."): yield full


def test_the_reader_of_imports_sees_relative_ones():
    assert {"mfr.autoencode", "mfr.select", "mfr.similarity"} <= set(imported("mfr.sae"))
    assert "mfr.checks" in set(imported("mfr.data.synthetic"))


@pytest.mark.parametrize("module", NUMBER)
def test_imports_point_to_lower_numbers(module):
    for other in imported(module): assert NUMBER[other] < NUMBER[module], f"{module} imports {other}"


def test_every_notebook_number_is_used_once():
    numbers = [p.name.split("_")[0] for p in CFG.nbs_path.glob("[0-9]*.ipynb")]
    assert len(numbers) == len(set(numbers)) and len(NUMBER) > 10


def loaded_by(code):
    "Top-level modules that a fresh interpreter has loaded after running `code`."
    code += "; import sys; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_running_needs_neither_the_toolchain_nor_the_extras():
    "`import mfr` loads no plotting, no pandas, no network library, no command line; importing all loads no extras."
    toolchain, extras = {"nbdev", "fastcore", "execnb"}, {"mne", "transformers", "datasets", "sae_lens", "sparsify"}
    extras |= {"tensorboard", "wandb", "accelerate"}
    light = loaded_by("import mfr")
    waits = {"matplotlib", "pandas", "seaborn", "tyro", "jinja2", "huggingface_hub"}
    assert not (toolchain | extras | waits) & light
    assert not (toolchain | extras) & loaded_by("; ".join(f"import {m}" for m in NUMBER))


def test_nothing_is_unpickled():
    "torch.load is called with weights_only=True alone, which lets nothing through but tensors and containers."
    for path in LIB.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "pickle.load" not in text and "allow_pickle=True" not in text, path
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        assert len(loads) == text.count("torch.load"), f"{path}: it is called, and by no other name"
        for call in loads: assert "weights_only=True" in map(ast.unparse, call.keywords), path


def test_import_takes_less_than_two_seconds():
    "The best of three, of the processor's own seconds, so that a busy machine is not mistaken for a slow import."
    code = [sys.executable, "-c", "import mfr, time; print(time.process_time())"]
    times = [float(subprocess.run(code, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(times) < 2


def test_the_benchmarks_stay_outside():
    "Only the command knows of them."
    for path in LIB.rglob("*.py"):
        if path != LIB / "cli.py": assert "benchmarks" not in path.read_text(encoding="utf-8"), path
