"""Run notebooks in place and keep their outputs, honouring nbdev's directives as `nbdev_test` does.

    python tools/nbrun.py [NOTEBOOK ...]          every notebook, if none is named
    python tools/nbrun.py --check NOTEBOOK ...    only see whether they run; nothing is written

A check does not call the tests of cells marked `#| test`: pytest runs them, from the files that `nb2tests.py` makes.
"""
import ast
import os
import shutil
import sys
import warnings
from pathlib import Path

os.environ["IN_TEST"] = "1"  # as in nbdev_test
os.environ["TQDM_DISABLE"] = "1"  # a progress bar prints its speed: another output at every run
from execnb.nbio import read_nb, write_nb
from execnb.shell import CaptureShell
from IPython.paths import get_ipython_cache_dir
from nb2tests import IMPORT, KEEP
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.process import extract_directives


def placeless(message, kind, *_):
    "A warning without the file that gave it, which is another on every machine."
    return f"{kind.__name__}: {message}\n"


SKIP = set(get_config().tst_flags.split()) - set(os.environ.get("MFR_NB_FLAGS", "").split())


def directives(cell): return extract_directives(cell, remove=False) if cell.cell_type == "code" else {}


def no_eval(cell):
    "Is the cell to be left as it is?"
    if cell.cell_type != "code": return True
    found = directives(cell)
    return found.get("eval:", [""])[0].lower() == "false" or bool(SKIP & found.keys())


def without_calls(source):
    "The definitions of a cell of tests, which later cells may use."
    return "\n".join(ast.unparse(node) for node in ast.parse(source).body if isinstance(node, KEEP + IMPORT))


def run(fn, check):
    "Run one notebook; the first error ends the program."
    nb, shell = read_nb(fn), CaptureShell(fn, mpl_format="png")
    for c in nb.cells:
        if not no_eval(c): c.outputs = []
        if check and "test" in directives(c): c.source = without_calls(c.source)
    os.chdir(fn.parent)
    shell.run_all(nb, exc_stop=True, preproc=no_eval)
    if check: return
    write_nb(nb, fn)
    nbdev_clean(str(fn))


if __name__ == "__main__":
    warnings.formatwarning = placeless
    check, names = "--check" in sys.argv, [name for name in sys.argv[1:] if name != "--check"]
    # Numba's cache of a cell does not see changes in other cells
    if not check: shutil.rmtree(Path(get_ipython_cache_dir()) / "numba_cache", ignore_errors=True)
    for fn in [Path(p).resolve() for p in names] or sorted(get_config().nbs_path.glob("*.ipynb")):
        run(fn, check)
        print("ran", fn.name)
