#!/usr/bin/env bash
# MNE 1.13.2, edfio 0.4.18, NumPy 2.4.6
#
# Guess, before running: a BDF file that MNE reads and exports to BDF again has the same trigger codes in its Status
# channel, for BDF holds 24-bit whole numbers.
#
# Behaviour: the export gives the Status channel a physical range and scales the codes to the whole digital range. MNE
# reads a Status channel of BDF by its digital values alone and keeps their lower 17 bits. So all codes come back as
# other numbers.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mne==1.13.2 edfio==0.4.18 numpy==2.4.6
cat > "$work/see.py" <<'PY'
import sys
from pathlib import Path

import edfio
import mne
import numpy as np

folder, codes = Path(sys.argv[1]), [1, 5, 130, 255]
eeg = 20 * np.random.default_rng(0).standard_normal(2560)
marks = np.zeros(2560, np.int32)
for i, code in enumerate(codes): marks[500 * i + 100 : 500 * i + 150] = code
signals = [
    edfio.BdfSignal(eeg, 256, label="Fp1", physical_dimension="uV", physical_range=(-262144, 262143)),
    edfio.BdfSignal.from_digital(marks, 256, label="Status"),
]
edfio.Bdf(signals).write(folder / "in.bdf")


def seen(name): return np.unique(mne.io.read_raw_bdf(folder / name, verbose="error").get_data(["Status"])).astype(int)


raw = mne.io.read_raw_bdf(folder / "in.bdf", preload=True, verbose="error")
mne.export.export_raw(folder / "out.bdf", raw, verbose="error")
before, after = seen("in.bdf"), seen("out.bdf")
print("codes in the file:", before.tolist())
print("codes after reading and exporting:", after.tolist())
print("changed: the codes are kept" if before.tolist() == after.tolist() else "seen")
sys.exit(before.tolist() == after.tolist())
PY
"$work/venv/bin/python" "$work/see.py" "$work"
