"""What `tools/fuzz.py` damages, and how it is read: a folder of small valid files for each reader, made on the spot."""
import contextlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file


class Reader(NamedTuple):
    "What is read, and how."

    make: Callable[[Path], Any]  # writes folders of valid files into a folder
    read: Callable[[Path], Any]  # reads one of these folders
    share: float = 1.0  # of the inputs, before scaling: slow ones get fewer


def one_file(folder: Path, *names: str) -> Path:
    "The first file of a folder by these names or endings, or of any name."
    files = sorted(folder.iterdir())
    return next((f for name in names for f in files if f.name.endswith(name)), files[0] if files else folder / "none")


def stack(select: str = "topk", **kw: Any):
    import mfr

    one = mfr.SAEStack(mfr.SAEConfig(6, 10, **{"k": 2, "n": 2, "select": select} | kw), seed=1)
    for _ in range(3): one.step(torch.randn(20, 6))  # thresholds are learnt
    one.eval()
    one.metadata = {"steps": 3, "source": "made", "consensus": {"support": [2, 1], "of": 2},
                    "language_model": {"model": "tiny", "path": "a.b", "side": "output", "length": 8}}
    return one


def make_stacks(folder: Path) -> None:
    import mfr

    mfr.save(stack(k=(2, 3)), folder / "topk")
    mfr.save(stack("mutual", tied=False, decoder_bias=True), folder / "mutual")
    mfr.save(stack("feature", zipf=1.0), folder / "feature")


def read_stack(folder: Path) -> None:
    import mfr

    mfr.load(folder).encode(torch.ones(3, 6))


def make_foreign(folder: Path) -> None:
    from mfr.foreign import JumpReLU  # makes its rule known
    from mfr.formats import export
    from mfr.sae import SAEConfig, SAEStack

    jump = SAEStack(SAEConfig(6, 10, k=2, select="jumprelu", tied=False, decoder_bias=True), seed=1)
    assert isinstance(jump.rule, JumpReLU)
    jump.rule.thresholds += torch.rand(1, 10)
    jump.eval()
    plain = stack(n=1)
    for to in ("saelens", "sparsify", "dictionary_learning"): export(plain, folder / to, to)
    for to in ("saelens", "dictionary_learning"): export(jump, folder / f"{to}-jump", to)
    make_in_training(export(plain, folder / "saelens-training", "saelens")[0])
    config = export(plain, folder / "sparsify-signed", "sparsify")[0] / "cfg.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"signed": True}))


def make_in_training(folder: Path) -> None:
    "A TopK SAE of SAELens becomes a BatchTopK SAE in training, with scaled and whitened rows."
    config, weights = folder / "cfg.json", folder / "sae_weights.safetensors"
    more = {"architecture": "batchtopk", "rescale_acts_by_decoder_norm": True,
            "normalize_activations": "covariance_whitening"}
    config.write_text(json.dumps(json.loads(config.read_text()) | more))
    save_file(load_file(weights) | {"topk_threshold": torch.tensor(0.3, dtype=torch.float64)}, weights)
    (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.5, "has_whitening": True}))
    maps = {"mean": torch.ones(6), "matrix": 2 * torch.eye(6), "inverse_matrix": torch.eye(6) / 2}
    save_file({name: t.double() for name, t in maps.items()}, folder / "activation_whitening.safetensors")


def read_foreign(folder: Path) -> None:
    from mfr.formats import Directions, load_foreign

    found = load_foreign(folder)
    if not isinstance(found, Directions): found.encode(torch.ones(2, found.config.d_in))


def make_json(folder: Path) -> None:
    (folder / "a").mkdir()
    said = {"k": [1, 2.5, None, True], "of": {"name": "text", "inner": {"deep": [[1], {"x": "y"}]}}, "n": 10}
    (folder / "a" / "said.json").write_text(json.dumps(said, indent=1))


def read_json_file(folder: Path) -> None:
    from mfr.files import read_json

    read_json(one_file(folder, ".json"))


def make_tensors(folder: Path) -> None:
    (folder / "a").mkdir()
    save_file({"W": torch.rand(4, 3), "c": torch.zeros(4).half()}, folder / "a" / "w.safetensors", {"note": "x"})


def read_tensors_file(folder: Path) -> None:
    from mfr.files import read_tensors

    read_tensors(one_file(folder, ".safetensors"))


def make_pt(folder: Path) -> None:
    for name, new in (("new", True), ("old", False)):
        (folder / name).mkdir()
        held = {"W": torch.rand(4, 3), "c": torch.zeros(4).half()}
        torch.save(held, folder / name / "w.pt", _use_new_zipfile_serialization=new)


def read_pt_file(folder: Path) -> None:
    from mfr.files import read_pt

    for t in read_pt(one_file(folder, ".pt")).values(): t.float().sum()


def make_store(folder: Path) -> None:
    from mfr.data.store import add_shard, open_manifest, save_manifest

    place = folder / "a"
    manifest = open_manifest(place, {"model": "tiny", "weights": "x"}, ())
    for i in range(2): add_shard(place, manifest, i, {"activations": torch.rand(20, 3), "gradients": torch.rand(20, 3)})
    save_manifest(place, manifest | {"complete": True})


def read_store(folder: Path) -> None:
    from mfr.data.store import Store

    store = Store(folder)
    for i in range(len(store.shards)): store.read(i)
    for _ in islice(store.batches(8, block=4, buffer=16, gradient="gradients"), 4): pass


def make_rows(ending: str) -> Callable[[Path], None]:
    "A writer of matrices of one format."
    def make(folder: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 4)
        tables = {
            "fixed": pa.table({"x": lists}),
            "lists": pa.table({"x": pa.array(x.tolist(), pa.list_(pa.float32()))}),
            "plain": pa.table({f"c{i}": x[:, i] for i in range(4)}),
        }
        for name in {".parquet": tables, ".arrow": tables, ".npz": ("packed", "stored"), ".pt": ("new", "old")}.get(
                ending, ("a",)):
            path = folder / name / f"x{ending}"
            path.parent.mkdir()
            if ending == ".npy": np.save(path, x)
            if ending == ".npz": (np.savez_compressed if name == "packed" else np.savez)(path, x=x)
            if ending == ".safetensors": save_file({"x": torch.from_numpy(x)}, path)
            if ending == ".pt":
                torch.save({"x": torch.from_numpy(x)}, path, _use_new_zipfile_serialization=name == "new")
            if ending == ".parquet":
                pq.write_table(tables[name], path, compression="snappy" if name == "lists" else "none")
            if ending == ".arrow":
                options = pa.ipc.IpcWriteOptions(compression="zstd" if name == "lists" else None)
                with pa.ipc.new_stream(path, tables[name].schema, options=options) as out:
                    out.write_table(tables[name], max_chunksize=16)
    return make


def use_rows(source: Path) -> None:
    from mfr.data.vectors import Vectors, check_rows, in_blocks

    rows = Vectors(source)
    check_rows(in_blocks(rows.rows, 16))
    next(rows.batches(4))
    for _ in rows.held_out(4): pass


def make_folders(folder: Path) -> None:
    for name in ("npy", "listed"): (folder / name).mkdir()
    x = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    for i in range(3): np.save(folder / "npy" / f"{i}.npy", x)
    for i in range(2): save_file({"activations": torch.from_numpy(x)}, folder / "listed" / f"{i}.safetensors")
    shards = [{"file": f"{i}.safetensors"} for i in range(2)]
    (folder / "listed" / "manifest.json").write_text(json.dumps({"shards": shards}))


def trainer(steps: int = 6):
    import mfr
    from mfr.train import Trainer

    config = mfr.TrainConfig(steps=steps, mutual=mfr.Mutual(warmup=2, renew=2), aux=mfr.AuxK())
    return Trainer(mfr.SAEStack(mfr.SAEConfig(6, 10, 2, n=2), seed=0), config)


def make_checkpoint(folder: Path) -> None:
    from mfr.checkpoint import save_checkpoint

    (folder / "a").mkdir()
    one = trainer()
    for _ in range(4): one.step(torch.randn(16, 6))
    save_checkpoint(one, folder / "a" / "c.safetensors")


def read_checkpoint(folder: Path) -> None:
    from mfr.checkpoint import load_checkpoint

    one = load_checkpoint(trainer(), one_file(folder, ".safetensors"))
    if one.t < one.config.steps: one.step(torch.randn(16, 6))


RUN = ["synthetic", "--steps", "12", "--d-hidden", "16", "--k", "2", "--batch-size", "50", "--seeds", "1"]


def make_run(folder: Path) -> None:
    from mfr.cli import main

    place = folder / "run"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if main([*RUN, "--out", str(place)]): raise RuntimeError("expected a run to damage")
    kept = {"config.json", "metrics.json", "summary.json", "members.csv"}
    for file in [file for file in place.rglob("*") if file.is_file() and file.name not in kept]: file.unlink()


def read_run(folder: Path) -> None:
    from mfr.files import read_json
    from mfr.runs import check_resumable
    from mfr.show import shown, side_by_side, tell

    found = shown(folder)
    with contextlib.redirect_stdout(io.StringIO()): tell(found)
    side_by_side([folder, folder])
    check_resumable(folder, read_json(folder / "config.json"))


def make_measured(folder: Path) -> None:
    from pandas import DataFrame

    from mfr.study import write_frames

    write_frames(
        folder / "a", {"members": DataFrame({"FVU": [0.1, 0.2], "L0": [2, 3]}), "tokens": DataFrame({"t": ["NA", "x"]})}
    )


def read_measured(folder: Path) -> None:
    from mfr.study import read_frames

    read_frames(folder)


SWEEPS = {
    "arms": "[arms.plain]\nmutual = false\n[arms.wide]\nd_hidden = 64\nk = 4\n"
            '[arms.both]\nsae.n = 3\n"mutual.weight" = 0.1\n',
    "axes": 'study = "synthetic"\n[options]\nbatch_size = 100\nseeds = 2\n'
            "[axes]\nk = [2, 4]\nlr = [1e-3, 3e-3]\nd_hidden = [16, 32]\n",
}


def make_sweeps(folder: Path) -> None:
    for name, text in SWEEPS.items():
        (folder / name).mkdir()
        (folder / name / "sweep.toml").write_text(text)


def read_sweeps(folder: Path) -> None:
    import mfr
    from mfr.arms import Arm, read_arms
    from mfr.sweep import read_sweep

    file = one_file(folder, ".toml")
    read_arms(file, Arm(mfr.SAEConfig(6, 10, 2, n=2), mfr.TrainConfig(steps=2, mutual=mfr.Mutual())))
    if "study" in file.read_text(encoding="utf-8", errors="replace"): read_sweep(file)


def make_dictionaries(folder: Path) -> None:
    import mfr
    from mfr.formats import export

    mfr.save(stack(), folder / "two" / "ours")
    export(stack(n=1), folder / "two" / "theirs", "saelens")


def read_several(folder: Path) -> None:
    from mfr.consensus import find_consensus
    from mfr.dictionaries import read_dictionaries

    find_consensus([own.rows for own in read_dictionaries([folder])])


def make_shared(folder: Path) -> None:
    from mfr.hub import Shared

    Shared(stack()).save_pretrained(folder / "a", model_card_kwargs={"repo_id": "a/b"})


def read_shared(folder: Path) -> None:
    from mfr.hub import card_values, from_pretrained

    card_values(from_pretrained(folder))


def make_texts(folder: Path) -> None:
    (folder / "a" / "inner").mkdir(parents=True)
    for name in ("one.txt", "inner/two.txt"):
        (folder / "a" / name).write_text("Ein kurzer Text — ü.\n" * 5, encoding="utf-8")


def read_texts(folder: Path) -> None:
    from mfr.data.language import documents

    for text in documents(folder): text.split()


def recording():
    import mne

    names = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]
    x = np.random.default_rng(0).normal(size=(6, 400)) * 1e-5
    raw = mne.io.RawArray(x, mne.create_info(names, 100.0, "eeg"), verbose="error")
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["event"]))
    return raw


def make_recording(kind: str) -> Callable[[Path], None]:
    "A writer of recordings of one format."
    def make(folder: Path) -> None:
        import mne

        raw, place = recording(), folder / "a"
        place.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind.startswith(".fif"): raw.save(place / f"x_raw{kind}", verbose="error")
            elif kind == ".fdt": split_set(raw, place)
            else: mne.export.export_raw(place / f"x{kind}", raw, verbose="error")
    return make


def split_set(raw: Any, place: Path) -> None:
    "A recording of EEGLAB in two files."
    import mne
    from scipy.io import loadmat, savemat

    mne.export.export_raw(place / "x.set", raw, verbose="error")
    eeg = loadmat(place / "x.set", struct_as_record=False, squeeze_me=True)
    eeg = {name: value for name, value in eeg.items() if not name.startswith("__")}
    np.asarray(eeg["data"], "<f4").T.tofile(place / "x.fdt")
    savemat(place / "x.set", eeg | {"data": "x.fdt", "datfile": "x.fdt"}, appendmat=False, do_compression=True)


def read_recording(folder: Path) -> None:
    from mfr.eeg.corpus import FORMATS, gather
    from mfr.eeg.recordings import EEGConfig

    store = folder.with_name(f"{folder.name}-store")
    shutil.rmtree(store, ignore_errors=True)
    gather([one_file(folder, *FORMATS)], store, EEGConfig(high=40.0), progress=False)
    shutil.rmtree(store)


ROWS = (".npy", ".npz", ".safetensors", ".pt", ".parquet", ".arrow")
EEG = (".edf", ".bdf", ".vhdr", ".set", ".fdt", ".fif", ".fif.gz")
READERS = {
    "stacks": Reader(make_stacks, read_stack),
    "foreign": Reader(make_foreign, read_foreign),
    "json": Reader(make_json, read_json_file),
    "tensors": Reader(make_tensors, read_tensors_file),
    "pt": Reader(make_pt, read_pt_file),
    "store": Reader(make_store, read_store),
    **{
        f"rows{kind}": Reader(make_rows(kind), lambda folder, kind=kind: use_rows(one_file(folder, kind)))
        for kind in ROWS
    },
    "rows in folders": Reader(make_folders, use_rows),
    "checkpoint": Reader(make_checkpoint, read_checkpoint, 0.5),
    "run": Reader(make_run, read_run, 0.3),
    "measured": Reader(make_measured, read_measured, 0.5),
    "arms and sweeps": Reader(make_sweeps, read_sweeps),
    "dictionaries": Reader(make_dictionaries, read_several, 0.5),
    "hub": Reader(make_shared, read_shared, 0.5),
    "text": Reader(make_texts, read_texts),
    **{f"eeg{kind}": Reader(make_recording(kind), read_recording, 0.04 if kind in (".set", ".fdt") else 0.1)
       for kind in EEG},
}
