#!/usr/bin/env bash
# MNE 1.13.2, edfio 0.4.18, NumPy 2.4.6
#
# Guess, before running: EDF has a physical range for each channel, so an export uses each channel's own, and a channel
# with a large offset costs the others nothing.
#
# Behaviour: the default, physical_range="auto", takes the smallest and the largest sample of all channels of a type as
# the range of each. One EEG channel with an offset of 0.3 V leaves a channel of 20 microvolts a handful of levels.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mne==1.13.2 edfio==0.4.18 numpy==2.4.6
cat > "$work/see.py" <<'PY'
import sys
from pathlib import Path

import mne
import numpy as np

folder = Path(sys.argv[1])
x = 2e-5 * np.random.default_rng(0).standard_normal((2, 2560))
x[1] += 0.3
raw = mne.io.RawArray(x, mne.create_info(["C3", "O2"], 256.0, "eeg"), verbose="error")
levels = {}
for how in ("auto", "channelwise"):
    mne.export.export_raw(folder / "out.edf", raw, physical_range=how, overwrite=True, verbose="error")
    back = mne.io.read_raw_edf(folder / "out.edf", verbose="error").get_data(["C3"])
    levels[how] = len(np.unique(back))
    print(f"physical_range={how!r}: C3 has {levels[how]} levels, off by up to {1e6 * np.abs(back - x[:1]).max():.2f} uV")
print("seen" if levels["auto"] < 100 else "changed: each channel has its own range")
sys.exit(levels["auto"] >= 100)
PY
"$work/venv/bin/python" "$work/see.py" "$work"
