"""The program as a process: exit status, what is said and where, Ctrl-C, resuming."""
import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mfr import load

MFR = [sys.executable, "-c", "import sys; from mfr.cli import main; sys.exit(main())"]
SMALL = ["--batch-size", "64", "--test-rows", "256", "--n", "2"]
ENV = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def mfr(*args, **kw):
    return subprocess.run([*MFR, *map(str, args)], capture_output=True, text=True, env=ENV, timeout=300, **kw)


def test_a_run_writes_its_folder_and_nothing_to_stderr(tmp_path):
    r = mfr("synthetic", *SMALL, "--steps", 40, "--out", tmp_path / "run")
    assert r.returncode == 0 and r.stderr == "", "quiet when not a terminal"
    assert f"report: {tmp_path / 'run' / 'report.html'}" in r.stdout and "MFR mean ± sd" in r.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert all(isinstance(v, (int, float)) for v in metrics.values()) and metrics["baseline/L0/mean"] == 8
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert {"arm", "seed", "step", "loss_0", "recovered_1", "inactivity_0"} <= set(rows[0])
    assert sorted(p.name for p in (tmp_path / "run" / "figures").iterdir()) == sorted(
        f"{name}.{kind}" for name in ("agreement", "activity", "inactivity", "recovery") for kind in ("png", "svg"))
    assert load(tmp_path / "run" / "stacks" / "MFR-0").config.n == 2


def test_the_same_command_gives_the_same_numbers(tmp_path):
    for name in "ab": mfr("synthetic", *SMALL, "--steps", 30, "--out", tmp_path / name, check=True)
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()


@pytest.mark.parametrize(("args", "words"), [
    (["synthetic", "--stepz", "4"], "--stepz"),
    (["synthetic", "--steps", "many"], "'many'"),
    (["synthetic", "--preset", "large"], "'large'"),
    (["synthetic", "--data.n-active", "99"], "the smallest of 4 groups"),
    (["synthetic", "--k", "129"], "d_hidden = 128, got 129"),
    (["synthetic", "--n", "0"], "n: expected at least"),
    (["synthetic", "--batch-size", "0"], "batch_size: expected at least 1, got 0"),
    (["synthetic", "--lr", "nan"], "lr: expected a positive number"),
    (["synthetic", "--device", "tpu9"], "device: expected"),
    (["synthetic", "--resume"], "has no config.json"),
    (["train"], "--activations"),
    (["train", "--activations", "missing.npy"], "missing.npy is not a file"),
    (["eeg", "--source", "nowhere"], "nowhere does not exist"),
    (["eeg", "--source", "tuh"], "path: expected with --source tuh"),
    (["eeg", "--eeg.rate", "80"], "rate: expected more than 90 Hz"),
    (["eeg", "--simulation.seconds", "1"], "seconds: expected at least 5, got 1"),
    (["fly"], "expected one of the commands"),
])
def test_bad_input_is_one_sentence_and_status_2(tmp_path, args, words):
    r = mfr(*args, "--out", tmp_path / "run") if args[0] != "fly" else mfr(*args)
    assert r.returncode == 2 and r.stdout == ""
    assert words in r.stderr and r.stderr.startswith("mfr: ") and r.stderr.count("\n") == 1 and "Traceback" not in r.stderr
    assert not (tmp_path / "run").exists(), "nothing is written for input that cannot be used"


def test_eeg_from_simulation_to_a_denoised_file(tmp_path):
    "A study, and its stack on a recording of another rate and with other labels; what is wrong is one sentence."
    mne = pytest.importorskip("mne")
    from mfr.eeg.simulation import SimulationConfig, simulate

    r = mfr("eeg", "--steps", 4, "--simulation.recordings", 3, "--simulation.seconds", 8, "--d-hidden", 24, "--n", 2, "--k", 2, 4, "--batch-size", 8, "--out", tmp_path / "run")
    assert r.returncode == 0 and r.stderr == "" and "gain, clean: MFR" in r.stdout and "recordings: 3 used, 0 skipped\n" in r.stdout
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["config.json", "figures", "history.csv", "metrics.json", "recordings.json", "report.html", "restarts.csv", "stacks"]
    assert {f"{name}.png" for name in ("by_k", "distances", "gain", "traces", "spectra", "latents", "training")} <= {p.name for p in (tmp_path / "run" / "figures").iterdir()}
    s = simulate(SimulationConfig(seconds=8, rate=200.0))
    mne.export.export_raw(tmp_path / "in.edf", s.raw(s.noisy), verbose="error")
    denoise = ["eeg", "denoise", tmp_path / "in.edf", tmp_path / "out.edf", "--stack", tmp_path / "run" / "stacks" / "MFR-clean-0"]
    r = mfr(*denoise)
    assert (r.returncode, r.stdout, r.stderr) == (0, f"denoised: {tmp_path / 'out.edf'}\n", "")
    was, now = (mne.io.read_raw_edf(tmp_path / name, verbose="error") for name in ("in.edf", "out.edf"))
    assert was.ch_names == now.ch_names and was.n_times == now.n_times and was.info["sfreq"] == now.info["sfreq"] == 200
    for args, words in ((denoise, "pass --overwrite"), (denoise[:2], "IN"), ([*denoise[:4], "--stack", tmp_path], "has no config.json"),
                        ([*denoise, "--overwrite", "--member", 7], "member: expected between 0 and 1")):
        r = mfr(*args)
        assert r.returncode == 2 and words in r.stderr and r.stderr.count("\n") == 1, r.stderr


def test_a_target_that_exists_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir(); (tmp_path / "thesis" / "a.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for out, *more in ((tmp_path / "thesis",), (tmp_path / "thesis", "--overwrite"), (tmp_path / "file",), (tmp_path / "file" / "below",), (tmp_path / "file", "--overwrite")):
        r = mfr("synthetic", *SMALL, "--out", out, *more)
        assert r.returncode == 2 and r.stderr.count("\n") == 1, r.stderr
    assert (tmp_path / "thesis" / "a.tex").read_text() == (tmp_path / "file").read_text() == "mine"
    assert len(list((tmp_path / "thesis").iterdir())) == 1


def test_a_target_that_cannot_be_written(tmp_path):
    "A locked folder; for root, whom nothing locks out, a file system that takes no folders."
    (tmp_path / "locked").mkdir(mode=0o500)
    r = mfr("synthetic", *SMALL, "--out", tmp_path / "locked" / "run" if os.geteuid() else "/proc/mfr-run")
    assert r.returncode == 2 and r.stderr.startswith("mfr: /") and r.stderr.count("\n") == 1


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_ctrl_c_leaves_what_was_trained_and_resume_finishes_it(tmp_path):
    "Interrupted in its second arm, resumed: the same history as a run that was never interrupted."
    command = ["synthetic", *SMALL, "--steps", "1000", "--log-every", "100"]
    out = tmp_path / "run"
    p = subprocess.Popen([*MFR, *command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    wait_for(lambda: (out / "stacks" / "baseline-0" / "config.json").exists() or p.poll() is not None)
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=120)
    assert p.returncode == 130 and "interrupted: MFR, seed 0, after" in err and "Traceback" not in err
    assert load(out / "stacks" / "MFR-0").config.n == 2
    refused = mfr(*command, "--out", out, "--resume", "--lr", "0.5")
    assert refused.returncode == 2 and "lr: expected 0.003" in refused.stderr
    assert mfr(*command, "--out", out, "--resume").returncode == 0
    assert mfr(*command, "--out", tmp_path / "whole").returncode == 0
    assert (out / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    assert not (out / "checkpoints").exists()
