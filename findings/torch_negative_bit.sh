#!/usr/bin/env bash
# torch 2.13.0: a .pt file may hold the numbers of a real tensor with the other sign.
#
# Seen: the imaginary part of a conjugated complex tensor is a real tensor with a "negative bit". torch.save writes its
#   storage unnegated and a flag {"neg": True} in the pickle. torch.load honours the flag. What reads the storage by the
#   offset, shape and stride that torch.load(map_location="meta") gives, as readers do that map large files, gets -x.
# Guess before the run: torch.save resolves the bit, so that the bytes in the file are the numbers of the tensor.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PY'
import sys

import numpy as np
import torch

spectrum = torch.fft.rfft(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
rows = spectrum.conj().imag
torch.save(rows, "rows.pt")
loaded, held = torch.load("rows.pt", weights_only=True), torch.load("rows.pt", map_location="meta", weights_only=True)
raw = np.fromfile("rows.pt", np.float32, held.untyped_storage().nbytes() // 4, offset=held.untyped_storage()._checkpoint_offset)
mapped = torch.from_numpy(raw).as_strided(held.shape, held.stride(), held.storage_offset())
print("is real:", rows.dtype, "negative bit:", rows.is_neg(), "of what meta loads:", held.is_neg())
print("torch.load gives the rows:", loaded.equal(rows))
print("the bytes of the file are the rows:", mapped.equal(rows), "- minus the rows:", mapped.equal(-rows))
sys.exit(not (rows.is_neg() and held.is_neg() and loaded.equal(rows) and mapped.equal(-rows)))
PY
