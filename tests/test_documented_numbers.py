"""Numbers in README.md and docs/, recomputed from the rows that are committed with them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"

#: first two cells of a row of README's table -> folder, size and whether models are tuned
README_ROWS = {
    ("100", "untuned"): ("tables", "rows:100", False),
    ("1000", "untuned"): ("tables", "rows:1000", False),
    ("all, 10,000 at most", "untuned"): ("fractions", "fraction:1", False),
    ("1 % of each table", "untuned"): ("fractions", "fraction:0.01", False),
    ("1 % of each table", "all tuned, 20 trials"): ("fractions", "fraction:0.01", True),
    ("10 %, 1000 at most", "all tuned, 20 trials"): ("fractions", "fraction:0.1", True),
    ("1000", "all tuned, 20 trials"): ("tables", "rows:1000", True),
    ("all, 10,000 at most", "all tuned, 10 trials"): ("tuned-10000", "rows:10000", True),
}


def cells(page: Path) -> list[list[str]]:
    """Return the rows of all Markdown tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def interval(differences: pd.Series, digits: int = 2) -> str:
    """Return the mean and its standard error, as the pages write them."""
    text = f"{differences.mean():+.{digits}f} ± {differences.std() / np.sqrt(len(differences)):.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize("head", README_ROWS, ids=" ".join)
def test_readmes_table_follows_from_the_committed_differences(head):
    folder, size, tuned = README_ROWS[head]
    (row,) = (row for row in cells(ROOT / "README.md") if tuple(row[:2]) == head)
    table = pd.read_csv(RESULTS / folder / "comparisons.csv")
    table = table[(table["size"] == size) & (table["tuned"] == tuned)]
    for against, (counts, mean) in {"rf": row[2:4], "dense_mlp": row[4:6]}.items():
        found = table[table["against"] == against]
        if not counts:
            assert found.empty
            continue
        assert len(found) == 16
        assert counts == ", ".join(str((found["verdict"] == verdict).sum()) for verdict in ("win", "tie", "loss"))
        assert mean == interval(100 * found["difference"])


def test_errors_of_the_ablation_are_over_the_committed_tables():
    table = pd.read_csv(RESULTS / "ablation_by_table.csv")
    settings = {"random forest of 250 trees": "forest"}
    defaults = table[table["against"] == "defaults"]
    checked = 0
    for row in cells(RESULTS / "ablation.md"):
        setting = settings.get(row[0], row[0].strip("`"))
        for n_rows, cell in zip((100, 1000), row[1::2], strict=False):
            found = defaults[(defaults["setting"] == setting) & (defaults["rows"] == n_rows)]["difference"]
            if "±" in cell and len(found):
                written, computed = (re.findall(r"\d\.\d+", text) for text in (cell, interval(found)))
                # the committed differences are rounded to two digits, and so is what is computed from them
                assert np.allclose([float(x) for x in written], [float(x) for x in computed], atol=0.011)
                checked += 1
    assert checked == 10


@pytest.mark.parametrize(("rows", "setting", "written"), [(100, "defaults", 1), (1000, "sparsity=None", 3)])
def test_differences_on_the_ten_other_data_sets_are_the_committed_ones(rows, setting, written):
    table = pd.read_csv(RESULTS / "ablation_by_table.csv").query("against == 'forest'")
    found = table[(table["setting"] == setting) & (table["rows"] == rows)]["difference"]
    name = {"defaults": "defaults", "sparsity=None": "dense start"}[setting]
    (row,) = (row for row in cells(RESULTS / "ablation.md") if row[0] == name)
    assert row[written] == interval(found)


@pytest.mark.parametrize("n_rows", [100, 300, 1000])
def test_the_regressors_mean_differences_are_the_committed_ones(n_rows):
    table = pd.read_csv(RESULTS / "regression.csv")
    found = table[table["rows"] == n_rows]
    ahead = (found["difference"] > found["error_over_seeds"]).sum()
    behind = (found["difference"] < -found["error_over_seeds"]).sum()
    row = [str(n_rows), str(len(found)), interval(found["difference"], 3), str(ahead), str(behind)]
    assert row in cells(RESULTS / "regression.md")


def test_what_the_guide_says_about_the_parity_figure_is_in_its_rows():
    table = pd.read_csv(RESULTS / "sparse_parity.csv")
    learned = table.assign(learned=table["accuracy"] > 0.9).groupby(["model", "n_rows"])["learned"].sum()
    assert (learned["sparse start", 800], learned["dense start", 800]) == (3, 0)
    assert (learned[["sparse start", "dense start"]].loc[:, [1400, 2000]] == 5).all()
    assert learned["random forest"].sum() == 0
