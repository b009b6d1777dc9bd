#!/usr/bin/env bash
# safetensors 0.8.0, numpy 2.4.6: safetensors.numpy.save_file writes an array that is not C-contiguous as its memory lies.
#
# Seen: an array in Fortran's order, or every second column of an array, comes back with the right shape and dtype and with
#   its numbers in other places. There is no error and no warning, and the file does not show it. The same numbers saved
#   with safetensors.torch are refused ("You are trying to save a non contiguous tensor").
# Guess before the run: save_file makes a contiguous copy first, as numpy.save does, or refuses as safetensors.torch does.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q safetensors==0.8.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

x = np.arange(12.0, dtype=np.float32).reshape(3, 4)  # rows of activations
seen = {}
for name, rows in (("C order", x), ("Fortran order", np.asfortranarray(x)), ("transposed twice", x.T.copy().T),
                   ("every second column", np.repeat(x, 2, axis=1)[:, ::2])):
    assert np.array_equal(rows, x)  # the same numbers each time
    save_file({"activations": rows}, "rows.safetensors")
    back = load_file("rows.safetensors")["activations"]
    seen[name] = np.array_equal(back, x)
    print(f"{name:20} shape {back.shape} dtype {back.dtype} same numbers: {seen[name]}, first row {back[0].tolist()}")
sys.exit(seen != {"C order": True, "Fortran order": False, "transposed twice": False, "every second column": False})
PY
