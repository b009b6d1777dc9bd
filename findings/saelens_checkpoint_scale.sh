#!/usr/bin/env bash
# sae-lens 6.54.12: a checkpoint of training with normalised inputs, opened with SAE.load_from_disk.
#
# Seen: with normalize_activations="expected_average_only_in" the trainer scales rows before the SAE and keeps the factor
#   beside the weights, in activation_scaler.json. SAE.load_from_disk reads the checkpoint without that file, without a
#   warning, and encodes rows as they come: other latents are active, and their number differs by a large factor.
# Guess before the run: load_from_disk applies the factor, or warns as from_pretrained does where it has none.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q sae-lens==6.54.12
cd "$work"
"$work/venv/bin/python" - <<'PY'
import json
import sys
import warnings

import torch
from sae_lens import SAE, StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.training.activation_scaler import ActivationScaler

torch.manual_seed(0)
rows = 8 * torch.randn(2000, 16)
sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_in=16, d_sae=64, normalize_activations="expected_average_only_in"))
with torch.no_grad():
    sae.W_enc += 0.5 * torch.randn(16, 64)
    sae.b_enc -= 2
scaler = ActivationScaler()
scaler.estimate_scaling_factor(16, iter([rows]), 1)
sae.save_model("checkpoint")
scaler.save("checkpoint/activation_scaler.json")  # as SAETrainer.save_checkpoint does
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    loaded = SAE.load_from_disk("checkpoint")
training, opened = sae.encode(scaler.scale(rows)) > 0, loaded.encode(rows) > 0
about = [str(w.message) for w in told if "scal" in str(w.message) or "normal" in str(w.message)]
print("factor:", json.load(open("checkpoint/activation_scaler.json"))["scaling_factor"], "- warnings about it:", about)
print("L0 in training:", training.sum(1).float().mean().item(), "- as opened:", opened.sum(1).float().mean().item())
sys.exit(bool(about) or opened.equal(training))
PY
