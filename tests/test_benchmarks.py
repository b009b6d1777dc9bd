"""The benchmarks, at sizes that take no time."""
import json
from itertools import islice

import pandas as pd
import pytest

from benchmarks import growth, sizes, study, whole_run
from benchmarks.clock import clock
from benchmarks.contestants import FOREVER, pulling
from benchmarks.goals import GOALS, ratios
from benchmarks.published import published
from benchmarks.sizes import SIZES, Size, batches
from mfr.mutual import Mutual
from mfr.sae import SAEStack
from mfr.study import RunOptions
from mfr.train import TrainConfig, Trainer

SMALL = Size(n=2, b=50, d=16, f=64, k=(3, 4))


def test_everybody_is_timed_in_alternating_order():
    order = []
    times = clock({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2)
    assert "".join(order) == "ab" + "ab" + "ba"  # the first two are not counted
    assert times.shape == (2, 2) and list(times) == ["a", "b"]


def test_the_encoder_of_the_papers_size_takes_12_gflop():
    assert SIZES["gpt2"].flop == pytest.approx(11.8e9, rel=0.01) and len(SIZES["gpt2"].k) == SIZES["gpt2"].n


def test_published_is_what_we_compute():
    "The reference's loss after three steps, against the trainer's with exact matching."
    size = Size(n=3, b=40, d=8, f=12, k=(2, 3, 4))
    stack, xs = SAEStack(size.sae), list(islice(batches(size), 3))
    reference = published(stack, xs, alpha=0.05)
    exact = Mutual.exact(weight=0.05, relative_to=None, warmup=0)
    mine = Trainer(stack, TrainConfig(steps=3, mutual=exact, log_every=1))
    for x in xs:
        loss = reference().item()
        mine.step(x)
        row = mine.history.rows[-1]
        assert loss == pytest.approx(sum(row["loss"]) + 3 * 0.05 * row["penalty"], rel=1e-4)


def test_a_penalty_that_pulls_searches_once():
    stack, xs = SAEStack(SMALL.sae), list(islice(batches(SMALL), 4))
    trainer = Trainer(stack, TrainConfig(FOREVER, log_every=FOREVER, mutual=pulling("max")))
    for x in xs: trainer.step(x)
    assert trainer.terms[0].next_search == FOREVER and not trainer.history.rows


def test_a_whole_run_has_its_searches():
    spent = whole_run.whole_run(SMALL, steps=5, block=2)
    assert list(spent) == ["whole run", "whole run, MFR"] and min(spent.values()) > 0


def test_a_goal_is_met_when_the_median_is():
    made_up = {"synthetic": pd.DataFrame({"step": [1.7, 1.9, 1.75], "floor": [1.0] * 3, "batch": [0.5] * 3})}
    table = ratios(made_up)
    assert table["met"].tolist() == ["yes", "no"] and table["aim met"].tolist() == ["no", "no"]
    assert table["median"].tolist() == pytest.approx([1.75, 0.5 / 1.75]) and table["high"][0] == 1.9
    assert len({(g.size, g.what) for g in GOALS}) == len(GOALS)


def test_growth_varies_one_thing():
    assert growth.varied("k", 8).k == (8, 8) and growth.varied("n", 3).k == (32, 32, 32)
    table = growth.grow(grid={"f": (64, 128), "n": (1, 2)})
    assert table["varied"].tolist() == ["f", "f", "n", "n"] and table["step"].gt(0).all()
    assert table["MFR"].isna().tolist() == [False, False, True, False]


def test_a_run_writes_everything(tmp_path, monkeypatch):
    monkeypatch.setitem(sizes.SIZES, "gpt2", SMALL)
    monkeypatch.setattr(growth, "GROWTH", {"f": (32, 64)})
    monkeypatch.setattr(whole_run.whole_runs, "__defaults__", ("cpu", 4))
    table = study.run(study.BenchStudy(sizes=("gpt2",), rounds=3, warm=2, whole=2), RunOptions(tmp_path / "run"))
    assert {
        "the published algorithm / step with MFR (max)",
        "step with MFR (max) / step without",
        "run of 1,000 steps with MFR / without",
    } <= set(table["ratio"])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["gpt2/the published algorithm / step with MFR (max)/median"] > 0 and metrics["growth/f/64/step"] > 0
    assert (tmp_path / "run" / "history.csv").read_text().startswith("round,")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "goals are met" in page and len(page) > 10_000


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"sizes": ("huge",)}, "sizes: expected 'gpt2', 'synthetic' or 'wide', got 'huge'"),
    ({"rounds": 0}, "rounds: expected at least 1, got 0"),
    ({"warm": -1}, "warm: expected at least 0, got -1"),
])
def test_bad_input_is_named(settings, sentence):
    with pytest.raises(ValueError, match=sentence): study.BenchStudy(**settings)
