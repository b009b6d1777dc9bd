"""Cells, lines and notebooks stay small: the rules and their exceptions stand in `tools/house_rules.py`."""
import json

import house_rules
import pytest


@pytest.fixture
def cells(tmp_path):
    "Writes code cells as a notebook and reads them back."
    def write(*sources):
        notebook = {"cells": [{"cell_type": "code", "id": f"c{i}", "source": s} for i, s in enumerate(sources)]}
        (tmp_path / "99_made_up.ipynb").write_text(json.dumps(notebook))
        return list(house_rules.code_cells(tmp_path / "99_made_up.ipynb"))
    return write


def test_the_notebooks_keep_the_rules():
    found = house_rules.broken(house_rules.notebooks())
    if found: pytest.fail(f"{len(found)} breaks of the rules:\n" + "\n".join(found), pytrace=False)


def test_a_long_cell_counts_where_it_is_exported(cells):
    body = "def f():\n" + "    1\n" * 29
    assert not house_rules.long_cells(cells(f"#| export\n{body}", f"{body}    1"))
    assert house_rules.long_cells(cells(f"#| export\n{body}    1")) == {"99_made_up: f": "31 lines"}


def test_a_class_may_have_sixty_lines(cells):
    body = "class C:\n" + "    1\n" * 59
    assert not house_rules.long_cells(cells(f"#| export\n{body}"))
    assert house_rules.long_cells(cells(f"#| export\n{body}    1")) == {"99_made_up: C": "61 lines"}


def test_constants_and_imports_are_no_definitions(cells):
    two = "def f(): pass\nclass C: pass"
    made = cells("#| export\nimport ast\nA = 1\nB = 2", f"#| export\n{two}", two)
    assert house_rules.several_definitions(made) == {"99_made_up: f, C": "2 definitions"}


def test_every_code_cell_counts_for_columns(cells):
    assert not house_rules.long_lines(cells("x" * 120))
    assert house_rules.long_lines(cells("x" * 121)) == {"99_made_up: c0": "a line of 121 columns"}


def test_exported_lines_add_up(cells):
    half = "#| export\n" + "\n".join(["x = 1"] * 200)
    assert not house_rules.long_notebooks(cells(half, half, "x = 1"))
    assert house_rules.long_notebooks(cells(half, half, "#| export\nx = 1")) == {"99_made_up": "401 exported lines"}


def test_last_names_of_modules():
    assert set(house_rules.same_names(["mfr.a.x", "mfr.b.x", "mfr.y"])) == {"mfr.a.x", "mfr.b.x"}


def test_an_exception_that_nothing_needs_is_named(monkeypatch, cells, tmp_path):
    cells("x = 1")
    monkeypatch.setitem(house_rules.LONG_LINES, "99_made_up: c0", "it was long once")
    assert [f for f in house_rules.broken([tmp_path / "99_made_up.ipynb"]) if "99_made_up" in f] == [
        "lines over 120 columns: 99_made_up: c0: excepted without need"]
