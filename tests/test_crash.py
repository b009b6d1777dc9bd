"""What befalls a run: it is killed, the disk is full, its folder is gone, read-only or another's. Nothing is lost."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import pytest
import torch
from nbdev.config import get_config

from mfr import SAEConfig, SAEStack, save
from mfr.arms import Arm
from mfr.checkpoint import read_checkpoint
from mfr.cli import main, stopped_by_sigterm
from mfr.data.store import Store, read_manifest
from mfr.mutual import Mutual
from mfr.study import RunOptions, Study, run
from mfr.train import TrainConfig

KILLS = get_config().config_path / "tools" / "kills.py"
ENV = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
SMALL = (
    "synthetic --data.d-in 16 --data.n-features 24 --data.n-active 3 --d-hidden 24 --k 3 --n 2 --batch-size 32 "
    "--test-rows 64 --steps 12 --log-every 6 --save-every 0"
).split()


def said(capsys, *args):
    "The exit status of a command, and its one sentence on stderr."
    status = main([*map(str, args)])
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == bool(status), errors
    return status, *errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fifty_kills(tmp_path):
    "Trainings and captures are killed at drawn instants, in the middle of every kind of file; the same bits each time."
    command = [sys.executable, KILLS, tmp_path / "kills.json", "--kills", "50", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENV, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "kills.json").read_text())
    assert found["kills"] == 50 and all(what.endswith("the same bits") for what in found["runs compared"])
    assert len(found["killed at"]) > 15, "kinds of files and instants"


@pytest.fixture
def disk(tmp_path):
    "Makes a small disk; `disk(size)` changes its size or what else mount can be told."
    place = tmp_path / "disk"
    place.mkdir()
    def mounted(how, *more): return subprocess.run(["mount", "-t", "tmpfs", *more, "-o", how, "tmpfs", place])
    try:
        if mounted("size=20m").returncode: pytest.skip("this user may not mount a disk")
    except FileNotFoundError: pytest.skip("there is no mount")
    def change(how):
        assert mounted(f"remount,{how}").returncode == 0
        return place
    yield change
    subprocess.run(["umount", place], check=True)


def stacks(run_folder):
    "The bytes of every stack of a run."
    return {str(path.relative_to(run_folder)): path.read_bytes() for path in run_folder.rglob("model.safetensors")}


def test_a_full_disk(tmp_path, disk, capsys):
    "It stops with a sentence wherever the disk is full, all checkpoints there are whole, and with room it goes on."
    assert said(capsys, *SMALL, "--out", tmp_path / "whole") == (0,)
    for kilobytes in (40, 90, 200):
        out, resume = disk(f"size={kilobytes}k") / "run", []
        status, sentence = said(capsys, *SMALL, "--out", out)
        assert status == 2 and "could not be written (" in sentence and "o space left on device" in sentence
        kept = [*out.glob("checkpoints/*.safetensors"), *out.glob("checkpoints/*.before")]
        assert all(read_checkpoint(path).said["state"] for path in kept) and (kept or kilobytes < 90)
        assert not [*out.rglob("*.part")]
        disk("size=20m")
        if (out / "config.json").exists(): resume = ["--resume"]
        assert said(capsys, *SMALL, "--out", out, *resume) == (0,)
        assert stacks(out) == stacks(tmp_path / "whole")
        shutil.rmtree(out)


def test_a_read_only_folder_is_told_before_the_work(tmp_path, disk, capsys):
    "Of a model that there is not, nothing is said: the folder was looked at first."
    out = disk("ro") / "out"
    save(SAEStack(SAEConfig(4, 6, 2)), tmp_path / "stack")
    (tmp_path / "in.edf").write_text("")
    for args in (SMALL, ["capture", "no-such-model", "--path", "h"], ["export", tmp_path / "stack", "--to", "saelens"]):
        status, sentence = said(capsys, *args, "--out", out)
        assert status == 2 and "out: expected a folder that can be written to" in sentence
    if pytest.importorskip("mne"):
        denoise = ["eeg", "denoise", tmp_path / "in.edf", "--stack", tmp_path / "stack"]
        for target, words in ((out.with_suffix(".edf"), "can be written to"), (tmp_path / "no" / "a.edf", "not exist")):
            status, sentence = said(capsys, *denoise[:3], target, *denoise[3:])
            assert status == 2 and words in sentence and "out: expected a folder" in sentence


class Stream:
    "Batches, before one of which something happens."
    name, d_in, key = "stream", 6, {"name": "stream"}

    def __init__(self, at=-1, what=None): self.at, self.what = at, what

    def batches(self, size, seed=0, start=0):
        for i in range(start, 10**9):
            if i == self.at: self.what()
            yield torch.randn(size, 6, generator=torch.Generator().manual_seed(i))

    def held_out(self, size): return islice(Stream().batches(size, start=10**6), 2)


def study_of(source):
    config = TrainConfig(steps=20, lr=0.01, mutual=Mutual())
    return Study("small", source, {"a": Arm(SAEConfig(6, 12, 2, 2), config)}, batch_size=16)


def test_a_folder_that_is_removed_under_the_run(tmp_path):
    out = tmp_path / "run"
    study = study_of(Stream(7, lambda: shutil.rmtree(out)))
    with pytest.raises(FileNotFoundError, match="run to stay, it was removed while the run went on"):
        run(study, RunOptions(out, save_every=0))
    assert not out.exists(), "half a run is not made in its place"


def test_a_broken_batch_keeps_the_last_good_checkpoint(tmp_path):
    "The source is named; with the batch mended it goes on to the same bits."
    class Broken(Stream):
        def batches(self, *args, **kw):
            for i, x in enumerate(super().batches(*args, **kw), args[2]):
                if i == 7: x[3, 1] = float("inf")
                yield x

    with pytest.raises(ValueError, match="found NaN or Inf in batch 7 of stream .counted from 0., rows 3"):
        run(study_of(Broken()), RunOptions(tmp_path / "run", save_every=0))
    checkpoint, = tmp_path.glob("run/checkpoints/*.safetensors")
    assert read_checkpoint(checkpoint).said["state"]["pairs"][0] == ["t", 7]
    run(study_of(Stream()), RunOptions(tmp_path / "run", resume=True))
    run(study_of(Stream()), RunOptions(tmp_path / "whole"))
    assert stacks(tmp_path / "run") == stacks(tmp_path / "whole")


def test_two_runs_on_one_folder(tmp_path, capsys):
    "The second is told which process has it, and changes nothing."
    pytest.importorskip("fcntl")
    run(study_of(Stream()), RunOptions(tmp_path / "run"))
    code = "import sys, time; from pathlib import Path; from mfr.sitting import Lock; Lock(Path(sys.argv[1])).take(); "
    command = [sys.executable, "-c", code + "print(1, flush=True); time.sleep(99)", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
        status, sentence = said(capsys, *SMALL, "--out", tmp_path / "run", "--overwrite")
        assert status == 2 and f"process {other.pid} on " in sentence and "writes to" in sentence
        with pytest.raises(BlockingIOError, match=f"process {other.pid} on "):
            run(study_of(Stream()), RunOptions(tmp_path / "run", resume=True))
        assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
        other.kill()
    run(study_of(Stream()), RunOptions(tmp_path / "run", resume=True))  # the dead block nobody


def test_sigterm_ends_any_command_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(9)
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_while_a_run_measures(tmp_path):
    def measured(trained, source):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(9)

    study = replace(study_of(Stream()), measures=(measured,))
    with pytest.raises(KeyboardInterrupt, match="keeps what is trained and measured, --resume"), stopped_by_sigterm():
        run(study, RunOptions(tmp_path / "run"))
    assert stacks(tmp_path / "run")


def test_sigterm_while_it_captures(tmp_path, capsys):
    "The shards that are there stay, and the same command goes on behind them."
    (tmp_path / "text.txt").write_text("a plain text, again and again. " * 30_000)
    args = ["capture", "tiny", "--path", "transformer.h.0", "--text", tmp_path / "text.txt", "--length", "32",
            "--tokens", "60000", "--out", tmp_path / "out"]
    folder = tmp_path / "out" / "transformer.h.0"
    code = "import sys; from mfr.cli import main; sys.exit(main())"
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    with subprocess.Popen([sys.executable, "-c", code, *map(str, args)], **pipes) as process:
        while not (folder / "shard-00001.safetensors").exists() and process.poll() is None: time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in errors and "Traceback" not in errors
    listed = [folder / shard["file"] for shard in read_manifest(folder)["shards"]]
    there = {path: path.stat().st_mtime_ns for path in listed}
    assert said(capsys, *args)[0] == 0 and len(Store(folder)) > 59_000
    assert there.items() <= {path: path.stat().st_mtime_ns for path in folder.glob("shard-*")}.items()
