#!/usr/bin/env bash
# sae-lens 6.13.0 and 6.54.12: a training checkpoint of BatchTopK of before 6.14, opened by a later version.
#
# Seen: up to 6.13 BatchTopK compares pre-activations. Since 6.14 it compares pre-activations times the decoder's lengths,
#   by an option that is on by default in training and that earlier configurations do not name. So a checkpoint of 6.13
#   is opened with the option on: other latents are active on the same rows, without a warning.
# Guess before the run: a key that a configuration lacks means what it meant in the version that wrote it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
for version in 6.13.0 6.54.12; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" install -q "sae-lens==$version" pyarrow==20.0.0  # which bears the NumPy of 6.13
done
cd "$work"
"$work/6.13.0/bin/python" - <<'PY'
import torch
from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

torch.manual_seed(0)
sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=16, d_sae=64, k=4))
with torch.no_grad():
    for p in (sae.W_enc, sae.W_dec): p += 0.3 * torch.randn(p.shape)
rows = torch.randn(1000, 16)
sae.save_model("checkpoint")
torch.save({"rows": rows, "active": sae.encode(rows) > 0}, "seen.pt")
PY
"$work/6.54.12/bin/python" - <<'PY'
import json
import sys
import warnings

import torch
from sae_lens import BatchTopKTrainingSAE

said, seen = json.load(open("checkpoint/cfg.json")), torch.load("seen.pt", weights_only=True)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    sae = BatchTopKTrainingSAE.load_from_disk("checkpoint")
about = [str(w.message) for w in told if "rescale" in str(w.message)]
active = sae.encode(seen["rows"]) > 0
other = (active != seen["active"]).any(1).float().mean().item()
print("written by", said["metadata"]["sae_lens_version"], "- names the option:", "rescale_acts_by_decoder_norm" in said)
print("option when opened:", sae.cfg.rescale_acts_by_decoder_norm, "- warnings about it:", about)
print(f"rows with other active latents: {other:.1%}")
sys.exit(not (sae.cfg.rescale_acts_by_decoder_norm and not about and other > 0.1))
PY
