"""Run notebooks in place and keep their outputs, honouring nbdev's directives as `nbdev_test` does."""
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
from nbdev.clean import nbdev_clean
from nbdev.config import get_config
from nbdev.process import extract_directives


def placeless(message, kind, *_):
    "A warning without the file that gave it, which is another on every machine."
    return f"{kind.__name__}: {message}\n"


warnings.formatwarning = placeless

# Numba's cache of a cell does not see changes in other cells
shutil.rmtree(Path(get_ipython_cache_dir()) / "numba_cache", ignore_errors=True)
skip = set(get_config().tst_flags.split()) - set(os.environ.get("MFR_NB_FLAGS", "").split())


def no_eval(cell):
    "Is the cell to be left as it is?"
    if cell.cell_type != "code": return True
    directives = extract_directives(cell, remove=False)
    return directives.get("eval:", [""])[0].lower() == "false" or bool(skip & directives.keys())


for fn in [Path(p).resolve() for p in sys.argv[1:]] or sorted(get_config().nbs_path.glob("*.ipynb")):
    nb, shell = read_nb(fn), CaptureShell(fn, mpl_format="png")
    for c in nb.cells:
        if not no_eval(c): c.outputs = []
    os.chdir(fn.parent)
    shell.run_all(nb, exc_stop=True, preproc=no_eval)
    write_nb(nb, fn)
    nbdev_clean(str(fn))
    print("ran", fn.name)
