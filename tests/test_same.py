"What same means, at a size that takes no time."
import json
from functools import partial

import pytest

from benchmarks.same import __main__ as same
from benchmarks.same.settings import CHOSEN
from benchmarks.worth.settings import Setting, synthetic
from mfr.sae import SAEConfig

TOY = partial(synthetic, d_in=16, n_features=24, n_groups=4, n_active=3)


def test_everything_that_the_pages_read_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(CHOSEN, "small", Setting(TOY, SAEConfig(16, 24, 3), 120, batch_size=100, lr=0.01))
    monkeypatch.setattr(same, "ROWS", 2000)
    target = tmp_path / "small.json"
    asked = ["--seeds", "1", "--merge", "--penalties", "0.03", "--keep", str(tmp_path / "kept"), "--out", str(target)]
    monkeypatch.setattr("sys.argv", ["same", "small", *asked])
    same.main()
    made = json.loads(target.read_text())
    assert made["command"] == "python -m benchmarks.same small --seeds 1 --merge --penalties 0.03"
    run = made["runs"][0]
    pairs = {line["definition"]: line for line in run["definitions"]}
    for line in pairs.values():
        assert line["also by work kept"] <= min(line["pairs"], pairs["work kept 0.5"]["pairs"])
        assert line["of one feature"] <= line["both recovered"] <= line["pairs"]
    assert sum(line["pairs"] for line in run["by cosine"]) >= pairs["work kept 0.5"]["pairs"] > 0
    grades = run["grades"]
    assert grades["same"] + grades["related"] + grades["alone"] == pytest.approx(grades["latents"])
    assert [line["penalty"] for line in run["shared"]] == [0, 0.03] and len(run["merged"]) == 5
    for kind in ("cross-validated", "apart"):
        assert 0 <= run["found again"][f"brier, {kind}"] <= 1 and len(run["found again"][f"deciles, {kind}"]) == 10
    assert sum(line["clusters"] for line in run["support"]) >= 24
