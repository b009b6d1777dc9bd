"""Several processes that train one stack make what one process makes, to rounding; one that dies ends the others."""
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import members_cases as mc
import numpy as np
import pytest
import ranks_cases as rc
import torch

from mfr import load
from mfr.files import read_tensors

pytest.importorskip("accelerate")
import psutil  # accelerate brings it

FILE = "model.safetensors"
SIZE = 61  # rows in a batch, which neither 2 nor 4 ranks divide
ENV = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
WITHIN = {torch.float64: 1e-12, torch.float32: 2e-5}


def torchrun(ranks, *args):
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={ranks}", *map(str, args)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    "What two and four ranks have made of the cases; four go on where two have been."
    folder, out = tmp_path_factory.mktemp("ranks"), {}
    for ranks in (2, 4):
        done = subprocess.run(torchrun(ranks, rc.__file__, folder, SIZE), env=ENV, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        out[ranks] = torch.load(folder / f"{ranks}.pt", weights_only=False)
    return out | {"folder": folder}


def assert_same(many, one, within):
    for name, t in one["tensors"].items():
        if t.is_floating_point(): torch.testing.assert_close(many["tensors"][name], t, rtol=within, atol=within)
        else: assert many["tensors"][name].equal(t), name
    assert [set(row) for row in many["rows"]] == [set(row) for row in one["rows"]]
    for ours, theirs in zip(many["rows"], one["rows"]):
        for key, value in theirs.items(): assert ours[key] == pytest.approx(value, rel=within, abs=within), key
    assert [dict(r, inactivity=0) for r in many["restarts"]] == [dict(r, inactivity=0) for r in one["restarts"]]


@pytest.mark.parametrize(("name", "dtype"), rc.PRECISE + rc.ROUGH, ids=str)
def test_two_ranks_make_what_one_makes(found, name, dtype):
    "Weights, thresholds, history, restarts, alpha and what the terms remember."
    many, one = found[2]["cases"][name, dtype], rc.of(name, dtype, SIZE)
    assert_same(many, one, WITHIN[dtype])
    if "restarts" in rc.CASES[name][1]: assert one["restarts"]


@pytest.mark.parametrize("name", rc.FEW)
def test_a_run_goes_on_with_another_number_of_ranks(found, name):
    "From a checkpoint of two ranks, four and one make what one has made without a break."
    whole = rc.of(name, torch.float64, SIZE)
    assert_same(found[4]["cases"][name, torch.float64], whole, WITHIN[torch.float64])
    alone = rc.from_half(name, found["folder"] / f"{rc.FEW.index(name)}.half", SIZE)
    assert_same(alone, whole, WITHIN[torch.float64])


def test_all_ranks_refuse_a_batch_and_name_its_rows(found):
    assert found[2]["nan"] == rc.not_a_number(SIZE) and f"rows {SIZE - 2}" in found[2]["nan"]


def test_ranks_that_have_drifted_apart_are_told(found):
    assert found[2]["apart"] == "ranks: expected the same weights on all of them, they differ at step 3"


def test_all_ranks_stop_when_one_is_asked_to(found):
    interrupted, steps = found[2]["stop"]
    assert interrupted and steps == 16, "the next time they look, together"


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    "What four members become on one rank, on two, and on two by two."
    folder = tmp_path_factory.mktemp("members")
    for ranks in (2, 4):
        command = torchrun(ranks, mc.__file__, folder, 2, SIZE)
        done = subprocess.run(command, env=ENV, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize(("name", "grid"), [*((n, "2-2") for n in mc.CASES), *((n, "4-2") for n in mc.FEW)])
def test_members_on_two_ranks_become_what_they_become_on_one(spread, name, grid):
    "Saved whole, with the history of all; on four ranks two share the members and two the rows."
    rows, restarts = mc.of(name, SIZE, spread / "1-1")
    theirs, again = torch.load(spread / f"{grid}.pt", weights_only=False)[name]
    one, many = read_tensors(spread / "1-1" / name / FILE), read_tensors(spread / grid / name / FILE)
    for key, t in one.items(): torch.testing.assert_close(many[key], t, rtol=1e-12, atol=1e-12)
    assert len(rows) == len(theirs)
    for a, b in zip(rows, theirs): assert a.keys() == b.keys() and all(b[k] == pytest.approx(a[k]) for k in a)
    def order(found): return sorted((r["step"], r["member"], r["attempt"]) for r in found)
    assert order(restarts) == order(again) and bool(restarts) == (name == "restarts")
    assert load(spread / grid / name).config.n == (2 if name == "two" else 4)
    shutil.rmtree(spread / "1-1" / name)


ROWS = ["--d-hidden", "64", "--k", "4", "--n", "2", "--steps", "400", "--batch-size", str(SIZE)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    gen = np.random.default_rng(0)
    np.save(path, (gen.normal(size=(2000, 16)) @ gen.normal(size=(16, 16))).astype("float32"))
    return path


def said(stderr): return [line for line in stderr.splitlines() if line.startswith(("mfr: ", "note: "))]


def test_a_killed_rank_ends_the_run_and_another_number_goes_on(tmp_path, rows):
    args, out = ["mfr", "train", "--activations", rows, *ROWS], tmp_path / "run"
    p = subprocess.Popen(torchrun(2, "-m", "--", *args, "--out", out), env=ENV, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not [d for d in out.glob("measured/*") if d.suffix != ".part"] and time.monotonic() < until: time.sleep(0.02)
    ranks = [k for k in psutil.Process(p.pid).children() if "mfr" in k.cmdline()]
    assert len(ranks) == 2
    next(k for k in ranks if k.environ()["RANK"] == "1").kill()
    stderr = p.communicate(timeout=45)[1]
    assert p.returncode != 0
    sentence, = said(stderr)
    assert "gone" in sentence and sentence.endswith("--resume goes on from the last checkpoint")
    assert not (out / "members.csv").exists()
    alone = [sys.executable, "-m", *args]
    subprocess.run([*alone, "--out", out, "--resume"], env=ENV, check=True, capture_output=True)
    subprocess.run([*alone, "--out", tmp_path / "whole"], env=ENV, check=True, capture_output=True)
    ours, theirs = (list(csv.DictReader(open(folder / "members.csv"))) for folder in (out, tmp_path / "whole"))
    assert len(ours) == len(theirs) == 4
    for a, b in zip(ours, theirs): assert float(a["FVU"]) == pytest.approx(float(b["FVU"]), rel=1e-3)


def test_one_rank_speaks_and_writes(tmp_path, rows):
    small = [*ROWS[:-3], "40", *ROWS[-2:]]
    args = ["mfr", "train", "--activations", rows, *small, "--out", tmp_path / "run"]
    done = subprocess.run(torchrun(2, "-m", "--", *args, "--json"), env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["report"] == str(tmp_path / "run" / "report.html")
    assert "torchrun --nproc_per_node 2 -m -- mfr train" in (tmp_path / "run" / "report.html").read_text()
    again = subprocess.run(torchrun(2, "-m", "--", *args), env=ENV, capture_output=True, text=True)
    assert again.returncode != 0 and len(said(again.stderr)) == 1 and "pass --overwrite" in said(again.stderr)[0]
    wrong = subprocess.run(torchrun(2, "-m", "--", "mfr", "show", tmp_path), env=ENV, capture_output=True, text=True)
    assert said(wrong.stderr) == ["mfr: show: expected one process, torchrun has started 2"]
