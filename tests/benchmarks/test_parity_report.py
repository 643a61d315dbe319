"""What the report says of parity runs: counts, edges, violations and ratios against numbers by hand."""

import math
import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import isotonic_regression

from benchmarks.__main__ import main
from benchmarks.parity import stored_runs
from benchmarks.parity.grids import EXPERIMENTS, PROFILES, settings_of
from benchmarks.parity.sections import _frontiers, _whole_experiments, sections
from benchmarks.parity.success import Edges, informative_pairs, rates, rising_rates, violations, with_starts
from benchmarks.results.store import Store
from sparsemlp import SparseInitMLP
from sparsemlp.frontier import Outcome, Run, Setting
from sparsemlp.theory import sq_lower_bound

pytestmark = pytest.mark.usefixtures("undrawn")

SPARSE, DENSE = "sparse, s = 2", "dense, torch's biases"


def outcomes(n_successes, n_runs=10, steps=1000, **setting):
    one = Setting(**({"max_steps": 20_000} | setting))
    return [
        Outcome(Run(one, i), i < n_successes, steps * (i + 1) if i < n_successes else 20_000, 0.0, 0.25, None)
        for i in range(n_runs)
    ]


def frame(*parts):
    """Rows as the store gives them back."""
    rows = [stored_runs._run_row(outcome) for part in parts for outcome in part]
    return with_starts(pd.DataFrame(rows).assign(id=range(len(rows))))


def grid(rates, n_runs=10):
    """Runs of a table {(sparsity, width): {rows: successes}}; sparsity 0 is dense."""
    return frame(
        *(
            outcomes(n, n_runs, n_samples=m, width=width, sparsity=sparsity or None)
            for (sparsity, width), column in rates.items()
            for m, n in column.items()
        )
    )


def test_cells_have_counts_wilson_intervals_and_medians_of_the_successes():
    cell = rates(frame(outcomes(4, n_samples=300, width=30))).iloc[0]
    assert (cell["successes"], cell["runs"], cell["median_steps"]) == (4, 10, 2500)
    z, p, n = 1.959964, 0.4, 10
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert cell["low"] == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert cell["high"] == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)


def test_violations_are_all_pairs_whose_wider_net_succeeds_less():
    cells = rates(grid({(2, 10): {100: 9, 300: 5}, (2, 30): {100: 4, 300: 5}, (2, 100): {100: 0, 300: 10}}))
    found = violations(cells)
    assert informative_pairs(cells) == (6, 6)
    pairs = found[["n_samples", "narrow", "wide"]].to_numpy().tolist()
    assert pairs == [[100, 10, 30], [100, 10, 100], [100, 30, 100]]
    assert found["significant"].tolist() == [True, True, True]
    one = found.iloc[0]
    # Newcombe's example of method 10 by hand: Wilson 9/10 is (0.596, 0.982), 4/10 is (0.168, 0.687)
    assert one["low"] == pytest.approx(0.5 - math.hypot(0.9 - 0.5958, 0.6873 - 0.4), abs=1e-3)
    assert one["high"] == pytest.approx(0.5 + math.hypot(0.9821 - 0.9, 0.4 - 0.1682), abs=1e-3)


def test_the_edge_is_where_the_rising_rates_cross_one_half():
    found = Edges(grid({(2, 10): {100: 0, 200: 4, 400: 8, 800: 10}, (0, 10): {100: 0, 200: 0, 400: 2, 800: 8}}))
    assert found.edge(SPARSE, 10).least == pytest.approx(200 * 2**0.25)
    assert found.edge(DENSE, 10).least == pytest.approx(400 * 2**0.5)
    ratio = found.ratio(10, SPARSE, DENSE)
    assert ratio.least == pytest.approx(2 * 2**0.25)
    assert ratio.low <= ratio.least <= ratio.high
    assert found.mean_ratio(SPARSE, DENSE)[0].least == pytest.approx(ratio.least)


def test_fresh_rows_are_no_number_of_rows_and_leave_the_edge_where_it_is():
    runs = grid({(s, r): {100: 0, 200: 4 - s, 400: 8} for s in (0, 2) for r in (10, 30)})
    fresh = [
        outcomes(10, n_samples=None, width=r, sparsity=s) for s in (2, None, 4) for r in (10, 30)
    ]  # s = 4 online only
    found, alone = Edges(pd.concat([runs, frame(*fresh)])), Edges(runs)
    assert found.sizes.tolist() == [100, 200, 400]
    assert found.ends.keys() == alone.ends.keys()
    assert found.edge(SPARSE, 10) == alone.edge(SPARSE, 10)
    assert found.ratio(10, SPARSE, DENSE) == alone.ratio(10, SPARSE, DENSE)
    assert found.slope(SPARSE) == alone.slope(SPARSE)


def test_rising_rates_are_the_isotonic_regression():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 20, (200, 8))
    successes = rng.binomial(counts, rng.random((200, 8)))
    found = rising_rates(successes, counts)
    for row, k, n in zip(found, successes, counts, strict=True):
        np.testing.assert_allclose(row, isotonic_regression(k / n, sample_weight=n), atol=1e-9)


def test_rates_that_fall_again_are_pooled():
    found = Edges(grid({(2, 10): {100: 6, 200: 2, 400: 7, 800: 10}}))
    assert found.edge(SPARSE, 10).least == pytest.approx(200 * 2 ** ((0.5 - 0.4) / (0.7 - 0.4)))


def test_an_edge_that_is_never_reached_is_infinite_and_bounds_means_from_below():
    found = Edges(grid({(2, 10): {100: 0, 200: 10}, (0, 10): {100: 0, 200: 1}}))
    edge, ratio = found.edge(DENSE, 10), found.ratio(10, SPARSE, DENSE)
    assert (edge.least, edge.most) == (200, np.inf)
    assert (ratio.least, ratio.most) == (pytest.approx(2**0.5), np.inf)
    mean, widths = found.mean_ratio(SPARSE, DENSE)
    assert widths == [10]
    assert str(mean) == f"{mean}" == "at least 1.41"
    assert found.slope(SPARSE) is None


def test_an_edge_below_the_fewest_rows_is_not_known_and_left_out_of_means():
    easy = {100: 10, 200: 10, 400: 10}
    found = Edges(grid({(s, width): easy for s in (0, 2) for width in (10, 30)}))
    assert (found.edge(SPARSE, 10).least, found.edge(SPARSE, 10).most) == (0, 100)
    assert str(found.ratio(10, SPARSE, DENSE)) == "-"
    assert found.mean_ratio(SPARSE, DENSE) is None
    assert found.slope(SPARSE) is None


def test_a_censored_edge_bounds_the_mean_ratio_and_pulls_it_nowhere():
    known = {100: 0, 200: 10, 400: 10, 800: 10}
    twice = {100: 0, 200: 0, 400: 10, 800: 10}
    easy, hard = dict.fromkeys(known, 10), dict.fromkeys(known, 0)
    both = {(2, 10): known, (0, 10): twice}
    assert Edges(grid(both)).mean_ratio(SPARSE, DENSE)[0].least == pytest.approx(2)

    at_least = Edges(grid(both | {(2, 30): easy, (0, 30): twice})).mean_ratio(SPARSE, DENSE)
    assert at_least[1] == [10, 30]  # the second ratio is 200 * sqrt(2) / 100 or more
    assert (at_least[0].least, at_least[0].most) == (pytest.approx(8**0.25 * 2**0.5), np.inf)
    at_most = Edges(grid(both | {(2, 30): hard, (0, 30): known})).mean_ratio(SPARSE, DENSE)
    assert (at_most[0].least, at_most[0].most) == (0, pytest.approx((2 * 100 * 2**0.5 / 800) ** 0.5))
    nothing_said = Edges(grid(both | {(2, 30): easy, (0, 30): easy, (2, 100): hard, (0, 100): hard}))
    assert nothing_said.mean_ratio(SPARSE, DENSE)[1] == [10]
    assert nothing_said.mean_ratio(SPARSE, DENSE)[0].least == pytest.approx(2)
    mixed = Edges(grid(both | {(2, 30): easy, (0, 30): known, (2, 100): hard, (0, 100): known}))
    assert str(mixed.mean_ratio(SPARSE, DENSE)[0]) == "-"


def test_the_slope_is_that_of_log_rows_by_log_width():
    sizes = [100, 200, 400, 800, 1600]
    rates = {(2, r): {m: 10 if m * r >= 16_000 else 0 for m in sizes} for r in (10, 20, 40, 80)}
    slope, widths = Edges(grid(rates)).slope(SPARSE)
    assert widths == [10, 20, 40, 80]
    assert slope.least == pytest.approx(-1, abs=1e-9)
    assert slope.low == pytest.approx(-1, abs=1e-9)


def test_runs_that_are_missing_from_a_stopped_study_do_not_count():
    whole = grid({(2, 10): {100: 0, 200: 4, 400: 8}, (2, 20): {100: 0, 200: 10}})
    part = whole[~((whole["width"] == 20) & (whole["run"] > 1))]
    found = Edges(part)
    assert found.edge(SPARSE, 10).least == Edges(whole).edge(SPARSE, 10).least
    assert found.edge(SPARSE, 20).least == pytest.approx(100 * 2**0.5)


def test_the_interval_of_the_ratio_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    sizes, covered = [100, 200, 400, 800, 1600], 0
    for _ in range(60):
        rows = []
        for sparsity, centre in ((2, 300), (None, 600)):
            for m in sizes:
                p = 1 / (1 + (centre / m) ** 4)
                own = outcomes(0, 10, n_samples=m, width=10, sparsity=sparsity)
                rows += [outcome._replace(succeeded=bool(rng.random() < p)) for outcome in own]
        ratio = Edges(frame(rows)).ratio(10, SPARSE, DENSE)
        covered += ratio.low <= 2 <= ratio.high
    assert covered >= 48  # 57 wanted; a percentile interval of ten runs is too short by a few


def test_the_dense_start_stands_beside_the_sparse_starts_of_every_kind():
    kinds = [{"init": "ones"}, {"init_scale": 4.0}, {"bias_init": "uniform"}]
    dense = [{"sparsity": None}, {"sparsity": None, "bias_init": "zeros"}]
    other = outcomes(1, 2, loss="squared", sparsity=None)
    runs = frame(*(outcomes(1, 2, **kind) for kind in kinds + dense), other)
    found = {shared["loss"]: list(dict.fromkeys(rates(rows)["start"])) for shared, rows in _frontiers(runs, {})}
    assert found == {
        "hinge": [
            *("sparse, s = 2, uniform biases", "sparse, s = 2, weights of 1", "sparse, s = 2, x 4"),
            *("dense, torch's biases", "dense, zero biases"),
        ],
        "squared": ["dense, torch's biases"],
    }


def test_every_run_of_make_benchmark_is_counted(tmp_path):
    settings = settings_of(PROFILES["glance"].grid)
    n_runs = PROFILES["glance"].runs
    text = report_of(tmp_path, *(outcomes(3, n_runs, **asdict(setting)) for setting in settings))
    assert len(settings) * n_runs == 128
    assert "over the same grid: sparse, s = 2: 24 of 64; dense, torch's biases: 24 of 64." in text
    assert text.count(" 3/8 |") == 16


def test_every_run_is_counted_whichever_experiments_are_there(tmp_path):
    settings = {name: EXPERIMENTS[name].settings for name in ("loss", "noise", "seconds")}
    glance = settings_of(PROFILES["glance"].grid)
    some = {setting for name in settings for setting in settings[name][:-1]}
    every = {setting for name in settings for setting in settings[name]}
    for i, (chosen, titles) in enumerate(((some, 0), (every, 3), (every | set(glance), 3))):
        store = Store.open(tmp_path / str(i))
        stored_runs.add_runs(store, [o for setting in chosen for o in outcomes(1, 1, **asdict(setting))])
        found = sections(store, tmp_path)
        runs = with_starts(store.frame(stored_runs.RUNS))
        shown = _whole_experiments(runs)
        grids = [rows for _, rows in _frontiers(runs, shown)]
        store.close()
        ids = {name: set(rows["id"]) for name, rows in shown.items()}
        assert len(ids) == titles == sum(section.title.startswith("Experiment") for section in found)
        assert set().union(*ids.values(), *(rows["id"] for rows in grids)) == set(runs["id"])
        assert sum(map(len, grids)) == len(set().union(*(rows["id"] for rows in grids)))
    assert len(glance) <= sum(map(len, grids)) <= len(glance) + 1  # an experiment takes none from a whole grid


def test_an_experiment_alone_is_a_report_with_results_that_counts_its_runs(tmp_path):
    cells = EXPERIMENTS["noise"].settings
    text = report_of(tmp_path, *(outcomes(1, 2, **asdict(setting)) for setting in cells))
    assert "There are no results yet" not in text
    assert ", 2 runs of each setting." in text


def report_of(folder, *cells):
    store = Store.open(folder)
    stored_runs.add_runs(store, [outcome for cell in cells for outcome in cell])
    store.close()
    return report(folder)


def test_an_edge_below_the_grid_reads_as_such(tmp_path):
    sizes = ((101, 10), (301, 10), (1001, 10))
    cells = [outcomes(n, n_samples=m, width=w, sparsity=s) for s in (2, None) for w in (30, 100) for m, n in sizes]
    text = report_of(tmp_path, *cells)
    assert re.search(r"\| 30 +\| +at most 101 \| +at most 101 \| +- \|", text)
    assert "times as many rows" not in text


def test_a_dense_start_alone_is_compared_with_none(tmp_path):
    sizes = ((101, 0), (301, 4), (1001, 9))
    cells = [outcomes(n, n_samples=m, width=w, sparsity=None) for w in (30, 100) for m, n in sizes]
    text = report_of(tmp_path, *cells)
    assert "times as many rows" not in text
    assert "| width | " in text
    assert "dense, torch's biases / " not in text


def test_headlines_count_the_cells_that_all_starts_have(tmp_path):
    sparse = [outcomes(n, n_samples=m, width=30) for m, n in ((101, 0), (1001, 9))]
    text = report_of(tmp_path, *sparse, outcomes(10, n_samples=1001, width=30, sparsity=None))
    assert "over the same grid: sparse, s = 2: 9 of 10; dense, torch's biases: 10 of 10" in text


def test_an_experiment_on_curves_is_shown_only_where_there_are_some(tmp_path):
    cells = EXPERIMENTS["curves"].settings
    text = report_of(tmp_path, *(outcomes(1, 1, **asdict(setting)) for setting in cells))
    assert "Experiment:" not in text


def test_an_experiment_leaves_no_hole_in_a_grid_that_shares_settings_with_it():
    whole = EXPERIMENTS["rows"].settings
    sizes, dense = (300, 800, 3000), {"sparsity": None, "bias_init": "zeros"}
    grid = [{"n_samples": m, "width": w, "max_steps": 20_000} | dense for m in sizes for w in (10, 30, 300)]
    settings = list(dict.fromkeys([*whole, *(Setting(**fields) for fields in grid)]))
    runs = frame(*(outcomes(1, 1, **asdict(setting)) for setting in settings))
    ((_, rows),) = _frontiers(runs, _whole_experiments(runs))
    assert set(rows["start"]) == {"dense, zero biases"}
    assert rows.groupby("width")["n_samples"].apply(sorted).to_dict() == {w: list(sizes) for w in (10, 30, 300)}


@pytest.fixture
def results(tmp_path):
    store = Store.open(tmp_path)
    runs = [
        outcomes(n, n_samples=m, width=width, sparsity=sparsity)
        for sparsity, shift in ((2, 0), (None, 3))
        for width, more in ((30, 0), (100, 2))
        for m, n in ((101, 0), (301, 3 + more - shift), (1001, 7 + more - shift))
    ]
    stored_runs.add_runs(store, [outcome for cell in runs for outcome in cell])
    store.close()
    return tmp_path


def report(folder):
    assert main(["report", "--results", str(folder)]) == 0
    return (folder / "report" / "report.md").read_text()


def test_the_frontier_shows_the_counts_of_the_store(results):
    text = report(results)
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if "| 301 " in line or " 301 |" in line
    ]
    found = {(line[0], line[2]): (line[3], line[5]) for line in lines if "/10" in line[3] and "->" not in line[2]}
    assert found == {
        ("dense, torch's biases", "30"): ("0/10", "-"),
        ("dense, torch's biases", "100"): ("2/10", "1500"),
        ("sparse, s = 2", "30"): ("3/10", "2000"),
        ("sparse, s = 2", "100"): ("5/10", "3000"),
    }
    assert "sparse, s = 2: 24 of 60; dense, torch's biases: 12 of 60" in text
    assert "of 6 pairs of widths of the same column, the wider net succeeded less often in 0" in text


def test_fresh_rows_are_in_the_table_of_cells_and_on_no_axis_of_rows(results, monkeypatch):
    from benchmarks.parity import figures

    store = Store.open(results)
    stored_runs.add_runs(store, outcomes(10, n_samples=None, width=30))
    store.close()
    drawn, draw = [], figures.lines

    def noting(found, x, *args):
        drawn.append((x, sorted(found[x].unique().tolist())))
        return draw(found, x, *args)

    monkeypatch.setattr(figures, "lines", noting)
    assert " fresh |" in report(results)
    assert drawn == [("n_samples", [101, 301, 1001])]


def test_the_bound_in_the_figure_is_that_of_the_theory(results, monkeypatch):
    from benchmarks.parity import figures

    seen = {}
    draw = figures.edges

    def noting(found, bound, title):
        seen.update({width: bound(width) for width in (1, 30)})
        return draw(found, bound, title)

    monkeypatch.setattr(figures, "edges", noting)
    report(results)
    for width, rows in seen.items():
        n_parameters = sum(value.numel() for value in SparseInitMLP(50, 1, width, 2).parameters())
        # 20 000 steps ask for a fraction of a row, so rows times steps are compared
        assert math.floor(rows * 20_000) + 1 == sq_lower_bound(50, 3, n_parameters=n_parameters, delta=0.5)


def test_a_figure_of_runs_none_of_which_succeeds_is_drawn(tmp_path):
    from benchmarks.parity import figures

    found = rates(frame(*(outcomes(0, n_samples=m, width=30) for m in (100, 300))))
    figures.lines(found, "n_samples", "width", "start", "none").savefig(tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 0
