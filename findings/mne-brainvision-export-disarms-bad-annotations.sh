#!/usr/bin/env bash
# MNE 1.13.2, pybv 0.8.1, NumPy 2.4.6
#
# Guess, before running: an annotation BAD_movement that is exported to BrainVision and read again still keeps its
# stretch out of epochs: MNE writes and reads both files.
#
# Behaviour: the export writes a marker of the type Comment, and the reader puts the type in front of the text. The
# annotation is called Comment/BAD_movement then. It no longer begins with BAD, and reject_by_annotation passes over it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mne==1.13.2 pybv==0.8.1 numpy==2.4.6
cat > "$work/see.py" <<'PY'
import sys
from pathlib import Path

import mne
import numpy as np

folder = Path(sys.argv[1])
x = 2e-5 * np.random.default_rng(0).standard_normal((2, 1000))
raw = mne.io.RawArray(x, mne.create_info(["C3", "O2"], 100.0, "eeg"), verbose="error")
raw.set_annotations(mne.Annotations([4.2], [1.5], ["BAD_movement"]))
mne.export.export_raw(folder / "out.vhdr", raw, verbose="error")
back = mne.io.read_raw_brainvision(folder / "out.vhdr", verbose="error")


def epochs(raw): return len(mne.make_fixed_length_epochs(raw, 1.0, verbose="error").drop_bad(verbose="error"))


before, after = epochs(raw), epochs(back)
print(f"before: {raw.annotations.description.tolist()}, {before} of 10 epochs are kept")
print(f"after:  {back.annotations.description.tolist()}, {after} of 10 epochs are kept")
print("seen" if after > before else "changed: the stretch is still rejected")
sys.exit(after <= before)
PY
"$work/venv/bin/python" "$work/see.py" "$work"
