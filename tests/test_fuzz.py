"""Files from strangers: a short run of `tools/fuzz.py`, and the bombs that chance would not build."""
import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mfr
from mfr.data.language import documents
from mfr.data.matrix import open_rows
from mfr.data.store import Store, add_shard, open_manifest
from mfr.eeg.recordings import check_recording
from mfr.formats import export, load_foreign

ROOT = Path(__file__).parent.parent
QUICK = ("stacks", "foreign", "json", "tensors", "pt", "store", "rows.npy", "rows.npz", "rows.pt", "rows.safetensors",
         "rows.parquet", "rows.arrow", "rows in folders", "arms and sweeps", "hub", "text", "measured")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured through /proc")
def test_damaged_files_are_read_or_refused_in_a_sentence():
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--inputs", "510", "--seed", "3", "--reader", *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert not done.returncode and "0 findings" in done.stdout, done.stdout + done.stderr


def huge(config: Path, **said) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | said))


def test_sizes_are_compared_before_memory_is_taken(tmp_path):
    "A terabyte in the configuration, a kilobyte in the file."
    stack = mfr.SAEStack(mfr.SAEConfig(6, 10, 2)).eval()
    folder = mfr.save(stack, tmp_path / "ours")
    for said in ({"d_hidden": 10**9, "k": 10**9}, {"n": 10**9}, {"d_in": 10**12}, {"n": 10**11, "d_hidden": 0}):
        mfr.save(stack, folder, overwrite=True)
        huge(folder / "config.json", **said)
        with pytest.raises(ValueError, match=r"config\.json: expected W of shape"): mfr.load(folder)
    with pytest.raises(ValueError, match="k: expected one number"): mfr.SAEConfig(6, 10, (2, 2), n=10**12)
    assert mfr.SAEConfig(6, 10, 2, n=10**12).n == 10**12, "nothing as long as n is made"
    theirs, = export(stack, tmp_path / "theirs", "saelens")
    huge(theirs / "cfg.json", d_sae=10**12)
    with pytest.raises(ValueError, match="expected W_enc of shape"): load_foreign(theirs)


def test_a_store_cannot_claim_rows_that_are_not_there(tmp_path):
    add_shard(tmp_path, open_manifest(tmp_path, {}, ()), 0, {"activations": torch.rand(20, 3)})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for change, words in (
        ({"rows": 10**14}, "expected bytes for each"),
        ({"file": "../x"}, "in its folder"),
        ({"rows": 10**11, "bytes": 10**12}, "expected a whole shard"),
        ({"rows": 21}, "at least 21 rows"),
        ({"rows": 1e3}, "to be a whole number"),
    ):
        said = manifest | {"shards": [manifest["shards"][0] | change]}
        (tmp_path / "manifest.json").write_text(json.dumps(said))
        with pytest.raises(ValueError, match=words): next(Store(tmp_path).batches(4))


def test_bombs_are_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        written = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            written, {"descr": "<f4", "fortran_order": False, "shape": (257 * 2**16, 4)}
        )
        with archive.open("x.npy", "w") as file:
            file.write(written.getvalue())
            for _ in range(257): file.write(bytes(2**20))
    with pytest.raises(ValueError, match=r"x\.npz: expected a file that unpacks to"): open_rows(tmp_path / "x.npz")
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    same = pa.table({"a": pa.array(np.zeros(2**22, np.float32))})
    with pq.ParquetWriter(tmp_path / "x.parquet", same.schema) as out:
        for _ in range(9): out.write_table(same)  # run lengths: 2^22 numbers in some bytes
    with pytest.raises(ValueError, match=r"x\.parquet: expected a file that unpacks"): open_rows(tmp_path / "x.parquet")
    with gzip.open(tmp_path / "x.fif.gz", "wb", 9) as file:
        for _ in range(257): file.write(bytes(2**20))
    with pytest.raises(ValueError, match=r"x\.fif\.gz: expected a file that unpacks"):
        check_recording(tmp_path / "x.fif.gz")


def test_a_recording_cannot_name_files_elsewhere(tmp_path):
    h5py = pytest.importorskip("h5py")
    for name in ("DataFile=../secret.eeg", "MarkerFile=/etc/hostname"):
        (tmp_path / "x.vhdr").write_text(
            f"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\n{name}\n"
        )
        with pytest.raises(ValueError, match="expected names of files in its"): check_recording(tmp_path / "x.vhdr")
    with h5py.File(tmp_path / "x.set", "w") as file: file["data"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(ValueError, match="links to '/etc/hostname'"): check_recording(tmp_path / "x.set")
    with h5py.File(tmp_path / "x.set", "w") as file:
        file.create_dataset("data", (10**6, 10**6), "f8", chunks=(100, 100))
    with pytest.raises(ValueError, match="unpacks to at most"): check_recording(tmp_path / "x.set")


def test_texts_and_rows_do_not_lead_out_of_their_folder(tmp_path):
    for name in ("texts", "rows"): (tmp_path / name).mkdir()
    (tmp_path / "secret").write_text("key")
    (tmp_path / "texts" / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="a link that leads out"): list(documents(tmp_path / "texts"))
    np.save(tmp_path / "x.npy", np.ones((3, 2), np.float32))
    (tmp_path / "rows" / "a.npy").symlink_to(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="a link that leads out"): open_rows(tmp_path / "rows")
    assert open_rows(tmp_path / "rows" / "a.npy").shape == (3, 2), "a link that is named oneself is followed"


def test_a_header_may_say_anything(tmp_path):
    "What a safetensors file promises is compared with its length by the library."
    save_file({"x": torch.rand(4, 3)}, tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data.replace(b"[4,3]", b"[4,9]"))
    with pytest.raises(ValueError, match="expected a whole safetensors file"): open_rows(tmp_path / "x.safetensors")
