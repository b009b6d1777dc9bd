#!/usr/bin/env bash
# MNE 1.13.2, edfio 0.4.18, NumPy 2.4.6
#
# Guess, before running: a file of the kind EDF+D, whose records say when they begin, is read with its gap: as missing
# samples, or with an annotation at the seam. Annotations stay at the samples they mark.
#
# Behaviour: the records are put end to end without a mark. Annotations keep their real times: one that lies within a
# record behind the gap is dropped, with a warning, or marks samples recorded at another time.
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

folder = Path(sys.argv[1])
x = np.repeat(np.arange(15.0), 100)  # microvolts: the second in which a sample was recorded
notes = [edfio.EdfAnnotation(2.0, None, "second 2"), edfio.EdfAnnotation(12.0, None, "second 12")]
edf = edfio.Edf([edfio.EdfSignal(x, 100, label="C3", physical_dimension="uV", physical_range=(-100, 100))],
                annotations=notes)
edf.write(folder / "whole.edf")
whole = (folder / "whole.edf").read_bytes()
start = int(whole[184:192])
size = (len(whole) - start) // 15
keep = [0, 1, 2, 10, 11, 12, 13, 14]  # records; with annotations of its own, a record keeps them
records = [whole[start + i * size : start + (i + 1) * size] for i in keep]
if b"second 12" not in b"".join(records):  # edfio may have put it into a record that is left out
    room = records[5].index(b"+12\x14\x14") + 6
    records[5] = records[5][:room] + b"+12\x14second 12\x14\0" + records[5][room + 15 :]
head = bytearray(whole[:start])
head[192:236] = b"EDF+D".ljust(44)
head[236:244] = str(len(keep)).encode().ljust(8)
(folder / "gap.edf").write_bytes(bytes(head) + b"".join(records))
assert [size] * 8 == [len(r) for r in records]

said = edfio.read_edf(folder / "gap.edf")
print("edfio:", said.reserved, [(a.onset, a.text) for a in said.annotations])
raw = mne.io.read_raw_edf(folder / "gap.edf", verbose="warning")
seconds = np.rint(1e6 * raw.get_data()[0, ::100]).astype(int).tolist()
marks = [(float(a["onset"]), str(a["description"])) for a in raw.annotations]
print(f"MNE: {raw.n_times / 100:g} s end to end, recorded in the seconds {seconds}; annotations {marks}")
kept = len(marks) > 1 or raw.n_times > 800
print("changed: the gap or the annotation is there" if kept else "seen: no mark at the seam, 'second 12' is gone")
sys.exit(int(kept))
PY
"$work/venv/bin/python" "$work/see.py" "$work"
