"""The program as a process: exit status, what is said and where, Ctrl-C, resuming."""
import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
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
    assert "one seed, which says nothing about chance" in r.stdout or "neither better nor worse" in r.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert all(isinstance(v, (int, float)) for v in metrics.values()) and metrics["baseline/L0/mean"] <= 8
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert {"arm", "seed", "step", "loss_0", "recovered_1", "inactivity_0"} <= set(rows[0])
    assert sorted(p.name for p in (tmp_path / "run" / "figures").iterdir()) == sorted(
        f"{name}.{kind}" for kind in ("png", "svg") for name in
        ("agreement", "activity", "found_again", "inactivity", "recovery", "support"))
    assert load(tmp_path / "run" / "stacks" / "MFR-0").config.n == 2


def test_json_is_one_object_and_nothing_else(tmp_path):
    r = mfr("synthetic", *SMALL, "--steps", 20, "--d-hidden", 2048, "--k", 4, "--out", tmp_path / "run", "--json")
    found = json.loads(r.stdout)
    assert {"conclusion", "table", "report", "metrics"} == found.keys() and found["report"].endswith("report.html")
    assert "of the 2048 latents are dead" in r.stderr and r.stderr.startswith("note: "), "notes are for people"
    assert found["metrics"] == json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = json.loads(mfr("show", tmp_path / "run", "--json", check=True).stdout)
    assert again["table"] == found["table"] and again["conclusion"] == found["conclusion"] and again["config"]["k"] == 4


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
def test_a_terminal_sees_rate_and_remaining_time(tmp_path):
    import pty
    ours, theirs = pty.openpty()
    wide = ["bash", "-c", 'stty rows 40 cols 120; exec "$@"', "x"]
    command = [*wide, *MFR, "synthetic", *SMALL, "--steps", "200", "--mutual", "None", "--merge", "None",
               "--restarts", "None", "--out", str(tmp_path / "run")]
    p = subprocess.Popen(command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, env=ENV)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 65536): said += part
    assert p.wait(timeout=60) == 0 and re.search(rb"baseline, seed 0: .*%.*<\d\d:\d\d, .*ex/s", said), said[-300:]


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
    (["synthetic", "--lr", "nan"], "lr: expected a number above 0, got nan"),
    (["synthetic", "--arms", "missing.toml"], "missing.toml: No such file"),
    (["synthetic", "--d-hidden", "2000000000"], "memory: there is not enough of it"),
    (["synthetic", "--device", "tpu9"], "device: expected"),
    (["synthetic", "--resume"], "has no config.json"),
    (["train"], "--activations"),
    (["capture", "tiny"], "--path"),
    (["capture", "tiny", "--path", "transformer.h.9"], "closest: transformer.h"),
    (["train", "--activations", "missing.npy"], "missing.npy is not a file"),
    (["gpt2", "--path", "no.such.module", "--steps", "1"], "no.such.module"),
    (["sweep", "missing.toml"], "missing.toml: No such file"),
    (["eeg", "--source", "nowhere"], "nowhere does not exist"),
    (["eeg", "--source", "tuh"], "path: expected with --source tuh"),
    (["eeg", "--eeg.rate", "80"], "rate: expected more than 90 Hz"),
    (["eeg", "--simulation.seconds", "1"], "seconds: expected at least 5, got 1"),
    (["eeg", "--select", "gradient"], "needs no gradients"),
    (["synthetic", "--select", "gradient"], "readout: expected 'linear' or 'mlp'"),
    (["synthetic", "--select", "nonsense"], "select: expected 'topk', 'mutual', 'feature', 'gradient'"),
    (["synthetic", "--beta", "3"], "beta: expected 1 unless select is 'gradient', got 3"),
    (["synthetic", "--aux", "nonsense"], "aux: expected k or zipf, or none"),
    (["synthetic", "--readout", "linear"], "small"),
    (["consensus"], "stacks: expected at least 1, got 0"),
    (["consensus", "missing-a", "missing-b"], "expected a folder, missing-a is none"),
    (["compare", "a", "b"], "--activations"),
    (["compare", "a", "b", "--activations", "missing.npy"], "missing.npy is not a file"),
    (["show", "missing"], "--out: expected an option"),
    (["fly"], "expected one of the commands"),
])
def test_bad_input_is_one_sentence_and_status_2(tmp_path, args, words):
    r = mfr(*args, "--out", tmp_path / "run") if args[0] != "fly" else mfr(*args)
    assert r.returncode == 2 and r.stdout == ""
    assert words in r.stderr and r.stderr.startswith("mfr: ") and r.stderr.count("\n") == 1, r.stderr
    assert not (tmp_path / "run").exists(), "nothing is written for input that cannot be used"


def test_which_features_two_runs_share(tmp_path):
    "Two stacks of one trained by the command, compared by the command."
    for seed in (0, 1):
        mfr("synthetic", *SMALL, "--steps", 60, "--seed", seed, "--out", tmp_path / f"run-{seed}", check=True)
    stacks = [tmp_path / f"run-{seed}" / "stacks" / f"baseline-{seed}" for seed in (0, 1)]
    r = mfr("consensus", *stacks, "--out", tmp_path / "shared", check=True)
    said = ("of the features of one SAE are the same in another (decoder cosine", "share nothing beyond chance")
    assert any(words in r.stdout for words in said)
    again = mfr("show", tmp_path / "shared", check=True).stdout
    assert r.stdout.strip() in again.strip() and str(stacks[0]) in again, "it says the same, and of what"
    side = mfr("compare", tmp_path / "run-0", tmp_path / "run-1", check=True).stdout
    assert "2 runs. They differ in\n  seed: run-0: 0; run-1: 1\n" in side and side.count("baseline run-") == 2
    names = {"clusters.csv", "left_out.csv", "metrics.json", "consensus.safetensors", "report.html", "config.json"}
    assert names <= {path.name for path in (tmp_path / "shared").iterdir()}


def test_saes_go_out_and_are_compared(tmp_path):
    "Stacks of a run as another library's SAEs; they come back as what they were."
    mfr("synthetic", *SMALL, "--steps", 60, "--out", tmp_path / "run", check=True)
    shown = mfr("show", tmp_path / "run" / "stacks" / "baseline-0", check=True).stdout
    assert "2 members of 128 latents on 64 dimensions" in shown and "topk" in shown
    r = mfr("export", tmp_path / "run", "--to", "saelens", "--out", tmp_path / "theirs", check=True)
    assert r.stdout.count("exported: ") == len(list((tmp_path / "theirs").rglob("cfg.json"))) > 2
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(200, 64)).astype("float32"))
    both = tmp_path / "run" / "stacks" / "baseline-0", tmp_path / "theirs" / "baseline-0"
    r = mfr("compare", *both, "--activations", tmp_path / "rows.npy", "--out", tmp_path / "compared", check=True)
    with open(tmp_path / "compared" / "members.csv") as file: lines = list(csv.DictReader(file))
    fvu = [round(float(line["FVU"]), 5) for line in lines]
    assert len(fvu) % 2 == 0 and fvu[::2] == fvu[1::2] and "leaves the least variance unexplained" in r.stdout
    r = mfr("export", tmp_path / "run", "--to", "saelens", "--out", tmp_path / "theirs")
    assert r.returncode == 2 and "expected a folder without an SAE" in r.stderr


def test_parts_of_a_training_by_option(tmp_path):
    "The penalty's settings are options, None takes it away, and a part that the default lacks can be asked for."
    def config(*args):
        assert mfr("synthetic", *SMALL, "--steps", 2, *args, "--out", tmp_path / "run", "--overwrite").returncode == 0
        return json.loads((tmp_path / "run" / "config.json").read_text())
    assert config("--mutual.weight", 0.5, "--mutual.matching", "max")["train"]["mutual"]["weight"] == 0.5
    plain = config("--mutual", "None", "--restarts", "None", "--merge", "None")
    assert plain["train"]["mutual"] is None and [arm["name"] for arm in plain["compared"]] == ["baseline"]


def test_a_missing_extra_is_one_sentence(tmp_path):
    "Python without MNE, or without transformers."
    for command, package, extra in (("eeg", "mne", "eeg"), ("gpt2", "transformers", "gpt2")):
        code = f"import sys; sys.modules['{package}'] = None; from mfr.cli import main; sys.exit(main())"
        args = [sys.executable, "-c", code, command, "--out", str(tmp_path / "run")]
        r = subprocess.run(args, capture_output=True, text=True, env=ENV, timeout=300)
        assert r.returncode == 2 and f"mfr[{extra}]" in r.stderr and r.stderr.count("\n") == 1, r.stderr
        assert not (tmp_path / "run").exists()


def test_a_sweep_goes_on_where_it_was_cut_off_and_grows(tmp_path):
    "SIGTERM in the middle; resumed, then with one arm more; no stack is trained twice."
    options = "\n".join(f"{k} = {v}" for k, v in dict(batch_size=64, test_rows=256, n=2, steps=300).items())
    text = f"study = 'synthetic'\n[options]\n{options}\n[arms.plain]\nmutual = false\n[arms.pulled]\n"
    (tmp_path / "s.toml").write_text(text)
    command, out = ["sweep", str(tmp_path / "s.toml"), "--out", str(tmp_path / "run")], tmp_path / "run"
    p = subprocess.Popen([*MFR, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    wait_for(lambda: (out / "stacks" / "plain-0" / "config.json").exists() or p.poll() is not None)
    time.sleep(0.3)
    p.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=120)
    assert p.returncode == 130 and "interrupted: pulled, seed 0, after" in err and "Traceback" not in err
    half = mfr("show", out, check=True).stdout
    assert "Not finished: 1 of 2 stacks are trained and measured; pulled-0 is at step " in half
    first = {path.name: path.stat().st_mtime_ns for path in (out / "measured").iterdir()}
    (tmp_path / "s.toml").write_text(text + "mutual.weight = 0.003\n[axes]\nlr = [0.01]\n")
    assert mfr(*command, "--resume").returncode == 0
    after = {path.name: path.stat().st_mtime_ns for path in (out / "measured").iterdir()}
    assert len(first) == 1 and len(after) == 3 and first.items() <= after.items()
    rows = list(csv.DictReader((out / "members.csv").open()))
    assert {row["arm"] for row in rows} == {"plain", "pulled", "lr=0.01"} and "setting: lr" in rows[0]


def test_a_finished_run_can_be_extended(tmp_path):
    "More steps go on from the checkpoints, fewer are refused."
    command = ["synthetic", *SMALL, "--log-every", "20", "--out", tmp_path / "run"]
    assert mfr(*command, "--steps", 40).returncode == 0
    assert mfr(*command, "--steps", 80, "--seeds", 2, "--resume").returncode == 0
    steps = [int(row["step"]) for row in csv.DictReader((tmp_path / "run" / "history.csv").open()) if row["fvu_0"]]
    assert steps.count(20) == steps.count(80) == 4
    refused = mfr(*command, "--steps", 60, "--seeds", 2, "--resume")
    assert refused.returncode == 2 and "steps: expected at least 80" in refused.stderr


def test_eeg_from_simulation_to_a_denoised_file(tmp_path):
    "A study, and its stack on a recording of another rate and with other labels; what is wrong is one sentence."
    mne = pytest.importorskip("mne")
    from mfr.eeg.simulation import SimulationConfig, simulate

    data = ["--simulation.recordings", 3, "--simulation.seconds", 8, "--batch-size", 8]
    r = mfr("eeg", "--steps", 4, *data, "--d-hidden", 24, "--n", 2, "--k", 2, 4, "--out", tmp_path / "run")
    assert r.returncode == 0 and r.stderr == "" and "gain, clean: MFR" in r.stdout
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"config.json", "members.csv", "recordings.json", "report.html", "scores.csv", "stacks"} <= files
    assert not (tmp_path / "run" / "activations").exists()
    figures = {f"{name}.png" for name in ("by_k", "distances", "gain", "traces", "spectra", "latents", "training")}
    assert figures <= {p.name for p in (tmp_path / "run" / "figures").iterdir()}
    s = simulate(SimulationConfig(seconds=8, rate=200.0))
    mne.export.export_raw(tmp_path / "in.edf", s.raw(s.noisy), verbose="error")
    stack = tmp_path / "run" / "stacks" / "MFR-clean-0"
    denoise = ["eeg", "denoise", tmp_path / "in.edf", tmp_path / "out.edf", "--stack", stack]
    r = mfr(*denoise)
    assert (r.returncode, r.stderr) == (0, "") and r.stdout.endswith(f"denoised: {tmp_path / 'out.edf'}\n")
    for told in ("note: denoised channels are band-passed, 0.5 to 45 Hz\n", "of the variance within 0.5 to 45 Hz, and"):
        assert told in r.stdout
    was, now = (mne.io.read_raw_edf(tmp_path / name, verbose="error") for name in ("in.edf", "out.edf"))
    assert was.ch_names == now.ch_names and was.n_times == now.n_times
    assert was.info["sfreq"] == now.info["sfreq"] == 200
    wrong = {
        "pass --overwrite": denoise, "IN": denoise[:2], "has no config.json": [*denoise[:4], "--stack", tmp_path],
        "member: expected between 0 and 1": [*denoise, "--overwrite", "--member", 7],
    }
    for words, args in wrong.items():
        r = mfr(*args)
        assert r.returncode == 2 and words in r.stderr and r.stderr.count("\n") == 1, r.stderr


def test_a_target_that_exists_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    thesis, file = tmp_path / "thesis", tmp_path / "file"
    for out, *more in ((thesis,), (thesis, "--overwrite"), (file,), (file / "below",), (file, "--overwrite")):
        r = mfr("synthetic", *SMALL, "--out", out, *more)
        assert r.returncode == 2 and r.stderr.count("\n") == 1, r.stderr
    assert (tmp_path / "thesis" / "a.tex").read_text() == (tmp_path / "file").read_text() == "mine"
    assert len(list((tmp_path / "thesis").iterdir())) == 1


def test_a_target_that_cannot_be_written(tmp_path):
    "A locked folder; for root, whom nothing locks out, a file system that takes no folders."
    (tmp_path / "locked").mkdir(mode=0o500)
    out = tmp_path / "locked" / "run" if os.geteuid() else "/proc/mfr-run"
    r = mfr("synthetic", *SMALL, "--out", out)
    assert r.returncode == 2 and r.stderr.startswith("mfr: ") and str(out) in r.stderr and r.stderr.count("\n") == 1


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_ctrl_c_leaves_what_was_trained_and_resume_finishes_it(tmp_path):
    "Interrupted in its second arm, resumed: the same history as a run that was never interrupted."
    command = ["synthetic", *SMALL, "--steps", "1000", "--log-every", "100"]
    out = tmp_path / "run"
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    p = subprocess.Popen([*MFR, *command, "--out", str(out)], **pipes)
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
