#!/usr/bin/env bash
# MNE 1.13.2, NumPy 2.4.6, SciPy 1.17.1
#
# Guess, before running: `raw.resample` with its defaults brings a signal to another rate and leaves every wave at its
# time. At most the ends are wrong.
#
# Behaviour: with the default method (FFT, npad="auto") a signal is padded to a convenient length first. Where the padding
# in front is no whole number of new samples, the samples that are cut off again begin elsewhere. A 10 Hz wave of 20 s at
# 1,000 Hz comes out half a new sample early at 100 Hz. With npad=0 and a length that fits the ratio nothing moves.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mne==1.13.2 numpy==2.4.6 scipy==1.17.1
cat > "$work/see.py" <<'PY'
import sys

import mne
import numpy as np


def moved(rate, new, seconds, **kw):
    "By how many new samples a 10 Hz wave is off, from its phase in the middle."
    wave = np.sin(2 * np.pi * 10 * np.arange(round(rate * seconds)) / rate)
    raw = mne.io.RawArray(wave[None], mne.create_info(1, rate, "eeg"), verbose="error")
    y = raw.resample(new, verbose="error", **kw).get_data()[0]
    t = np.arange(len(y)) / new
    inner = (t > 0.25 * seconds) & (t < 0.75 * seconds)
    window = np.hanning(inner.sum()) * np.exp(-2j * np.pi * 10 * t[inner])
    return float((np.angle(y[inner] @ window) + np.pi / 2) / (2 * np.pi * 10) * new)


worst = 0.0
for rate, new, seconds in ((250, 128, 20), (500, 128, 20), (1000, 100, 20), (1000, 128, 20), (250, 100, 30)):
    auto, exact = moved(rate, new, seconds), moved(rate, new, seconds, npad=0)
    worst = max(worst, abs(auto))
    print(f"{rate} to {new} Hz, {seconds} s: npad='auto' moves by {auto:+.3f} new samples, npad=0 by {exact:+.3f}")
print("seen" if worst > 0.1 else "changed: nothing moves")
sys.exit(worst <= 0.1)
PY
"$work/venv/bin/python" "$work/see.py"
