"""Numbers of the parity study at the paper's steps, recomputed from the rows that are committed with its pages."""

import pandas as pd
import pytest
from helpers.documented import (
    DETAILS,
    NETS,
    PARITY,
    RESULTS,
    SPARSE,
    TORCH,
    cells,
    interval,
    one_line,
    p_of_counts,
    p_of_steps,
)
from scipy import stats

from benchmarks.parity.stored_runs import setting_key
from benchmarks.parity.success import Edges, informative_pairs, rates, violations, with_starts
from sparsemlp.frontier import Setting


@pytest.fixture(scope="module")
def paper_runs():
    """Return the runs of the study at the paper's steps; what all of them share is no column of the file."""
    runs = pd.read_csv(RESULTS / "parity-paper" / "parity-runs.csv")
    shared = {name: value for name, value in setting_key(Setting()).items() if name not in runs}
    return with_starts(runs.assign(**shared))


def paper_study(runs, **fields):
    """Return the runs of a setting: what is not named is what the paper has."""
    default = {"n_features": 50, "n_informative": 3, "target": "parity", "max_steps": 100_000, "batch_size": 32}
    return runs[(runs[list(default | fields)] == pd.Series(default | fields)).all(axis=1)]


def succeeded(runs):
    return f"{runs['succeeded'].sum()} of {len(runs)}"


def median_steps(runs):
    (row,) = rates(runs).to_dict("records")
    interval = f" ({row['steps_low']:.0f} to {row['steps_high']:.0f})"
    return f"{row['median_steps']:.0f}{interval if row['successes'] >= 6 else ''}"


def test_success_and_steps_at_the_papers_size_follow_from_the_committed_runs(paper_runs):
    written = [row for row in cells(PARITY) if len(row) == 8 and row[0].isdigit()]
    assert len(written) == 10
    for width, start, *found in written:
        runs = paper_study(paper_runs, width=int(width), start=start)
        few, some, many, fresh = (runs[runs["n_samples"] == n] for n in (1000, 2000, 6000, 0))
        assert found[:2] == [succeeded(few), succeeded(some)]
        assert found[2:5] == [median_steps(many), succeeded(fresh), median_steps(fresh)]
        assert found[5] == f"p = {p_of_steps(many, fresh):.1g}"


def test_edges_and_pairs_of_widths_at_the_papers_size_follow_from_the_committed_runs(paper_runs):
    runs = paper_study(paper_runs)
    found = rates(runs)
    n_pairs, n_informative = informative_pairs(found)
    drops = violations(found)
    words = f"{n_pairs} pairs of widths of a column, of which {n_informative} could differ: {len(drops)} fall"
    assert words in one_line(PARITY)
    assert not len(drops) or not drops["significant"].any()
    edges = Edges(runs)
    written = {row[0]: row[1:] for row in cells(PARITY) if len(row) == 4 and row[0].isdigit()}
    for width in edges.widths(*edges.starts):
        ends = [str(edges.edge(start, width)) for start in edges.starts]
        assert written[str(width)] == [*ends, str(edges.ratio(width, *edges.starts))]


def test_success_by_depth_follows_from_the_committed_rows():
    rows = pd.read_csv(RESULTS / "parity-paper" / "nets-depth.csv")
    written = [row for row in cells(NETS) if len(row) == 5 and row[0].isdigit()]
    assert len(written) == len(rows.groupby(["depth", "sparsity"]))
    for depth, start, *found in written:
        runs = rows[(rows["depth"] == int(depth)) & (rows["sparsity"] == (2 if start.startswith("sparse") else 0))]
        for n_samples, text in zip((0, 2000, 1000), found, strict=True):
            one = runs[runs["n_samples"] == n_samples]
            reached = one.loc[one["succeeded"] == 1, "steps"]
            assert len(one) in (0, 20)
            count = "0" if len(one) else "-"
            assert text == (f"{len(reached)}, {reached.median():.0f}" if len(reached) else count)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        ((1, 2, 2000), (2, 2, 2000), "4e-06"),
        ((1, 0, 2000), (2, 0, 2000), "6e-07"),
        ((2, 2, 2000), (2, 0, 2000), "1e-05"),
        ((3, 2, 2000), (3, 0, 2000), "5e-07"),
    ],
)
def test_differences_of_steps_by_depth_follow_from_the_committed_rows(first, second, p):
    rows = pd.read_csv(RESULTS / "parity-paper" / "nets-depth.csv").set_index(["depth", "sparsity", "n_samples"])
    found = p_of_steps(rows.loc[first], rows.loc[second])
    assert f"{found:.0e}" == p
    assert p in one_line(NETS)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        ((1, 2, 1000), (2, 2, 1000), "0.001"),
        ((1, 0, 1000), (2, 0, 1000), "0.0002"),
        ((2, 2, 2000), (2, 2, 0), "0.0004"),
        ((2, 0, 2000), (2, 0, 0), "8e-07"),
    ],
)
def test_differences_of_counts_by_depth_follow_from_the_committed_rows(first, second, p):
    rows = pd.read_csv(RESULTS / "parity-paper" / "nets-depth.csv").set_index(["depth", "sparsity", "n_samples"])
    found = p_of_counts(rows.loc[first]["succeeded"], rows.loc[second]["succeeded"])
    assert float(f"{found:.1g}") == float(p)
    assert p in one_line(NETS)


def test_shares_of_nets_from_trees_follow_from_the_committed_rows():
    rows = pd.read_csv(RESULTS / "parity-paper" / "nets-trees.csv")
    learned = (rows["test_error"] <= 0.1).groupby([rows["target"], rows["n_samples"], rows["sampling"]]).sum()
    written = [row for row in cells(NETS) if len(row) == 4 and row[0] in set(rows["target"])]
    assert len(written) == 3
    for target, *found in written:
        for n_samples, text in zip((300, 1000, 3000), found, strict=True):
            assert text == " and ".join(str(learned[target, n_samples, name]) for name in ("uniform", "trees"))


def test_errors_on_polynomials_from_trees_follow_from_the_committed_rows():
    rows = pd.read_csv(RESULTS / "parity-paper" / "nets-trees.csv").query("target == 'polynomial'")
    errors = rows.pivot_table(index=["n_samples", "run"], columns="sampling", values="test_error")
    assert (errors["trees"] < errors["uniform"]).all()
    for n_samples, words in ((300, "with 300 rows"), (1000, "with 1000")):
        one = errors.loc[n_samples]
        assert f"from {one['uniform'].mean():.3f} to {one['trees'].mean():.3f} {words}" in one_line(NETS)
        assert f"{stats.wilcoxon(one['trees'], one['uniform']).pvalue:.1g}" == "0.002"


#: difference -> column, its two values
ON_TABLES = {
    "width 512 less 128": ("width", 512, 128),
    "s = 2 less s = 4": ("sparsity", 2, 4),
    "s = 2 less dense": ("sparsity", 2, 0),
    "s = 2 less s = 1": ("sparsity", 2, 1),
    "two hidden layers less one": ("depth", 2, 1),
    "three hidden layers less two": ("depth", 3, 2),
}


@pytest.mark.parametrize("name", ON_TABLES)
def test_differences_of_the_papers_nets_on_tables_follow_from_the_committed_rows(name):
    column, first, second = ON_TABLES[name]
    table = pd.read_csv(RESULTS / "parity-paper" / "nets-tables.csv")
    (row,) = (row for row in cells(NETS) if row[0] == name)
    for n_rows, mean, counts in zip((100, 1000), row[1::2], row[2::2], strict=True):
        one, other = (
            table[(table["n_rows"] == n_rows) & (table[column] == value)].groupby("task")["accuracy"].mean()
            for value in (first, second)
        )
        differences = 100 * (one - other)
        assert len(differences) == 16
        assert (mean, counts) == (interval(differences), f"{(differences > 0).sum()} of 16")


@pytest.mark.parametrize(("start", "p"), [("sparse, s = 2", "0.0001"), (TORCH, "0.0002")])
def test_steps_by_batch_follow_from_the_committed_runs(paper_runs, start, p):
    small, large = (
        paper_study(paper_runs, max_steps=40_000, width=100, start=start, n_samples=0, batch_size=size)
        for size in (8, 512)
    )
    words = f"{median_steps(small)} and {median_steps(large)}"
    assert words in one_line(PARITY).replace(" steps with a sparse start and", " with a sparse start and")
    assert f"{p_of_steps(small, large):.1g}" == p


def test_large_batches_of_rows_that_come_again_are_slower_from_a_sparse_start(paper_runs):
    small, large = (
        paper_study(paper_runs, max_steps=40_000, width=100, start=SPARSE, n_samples=3000, batch_size=size)
        for size in (8, 512)
    )
    p = p_of_steps(small, large)
    words = f"{median_steps(small)} steps with 8, and with 512 only {succeeded(large)} runs learn (p = {p:.1g})"
    assert words in one_line(PARITY)


def test_errors_on_parities_of_all_inputs_follow_from_the_committed_runs(paper_runs):
    runs = paper_runs[(paper_runs["n_features"] == paper_runs["n_informative"]) & (paper_runs["init_scale"] == 1)]
    twelve = {init: runs[(runs["n_features"] == 12) & (runs["init"] == init)] for init in ("sign", "normal")}
    page = one_line(PARITY)
    assert f"succeed, in {median_steps(twelve['sign'])} steps" in page
    assert f"{succeeded(twelve['normal'])} Gaussian ones, in {median_steps(twelve['normal'])}" in page
    errors = runs.groupby(["init", "n_features"])["test_error"].mean().map("{:.2f}".format)
    for init, words in (("sign", "errors with signs are"), ("normal", "and with Gaussian weights")):
        assert f"{words} {errors[init, 16]} and {errors[init, 20]}" in page


@pytest.mark.parametrize("width", [30, 300, 1000])
def test_steps_of_both_starts_on_fresh_rows_follow_from_the_committed_runs(paper_runs, width):
    sparse, dense = (paper_study(paper_runs, width=width, n_samples=0, start=start) for start in (SPARSE, TORCH))
    p = p_of_steps(sparse, dense)
    found = (f"{median_steps(sparse)} steps against", f"{median_steps(sparse)} against")
    assert any(f"{words} {median_steps(dense)}, p = {p:.1g}" in one_line(PARITY) for words in found)


def test_both_starts_with_few_rows_at_width_300_are_those_of_the_committed_runs(paper_runs):
    page = one_line(PARITY)
    for n_samples, words in ((800, "{} steps against {} with 800 rows"), (1000, "{} against {} with 1000")):
        runs = [paper_study(paper_runs, width=300, n_samples=n_samples, start=start) for start in (SPARSE, TORCH)]
        p = p_of_steps(*runs)
        assert f"{words.format(*map(median_steps, runs))} (p = {p:.1g})" in page
        if n_samples == 800:
            p = p_of_counts(*(one["succeeded"] for one in runs))
            found = "with 800 rows, {} sparse and {} dense runs learn".format(*map(succeeded, runs))
            assert f"{found} (p = {p:.1g})" in page


def test_no_run_learns_from_50_rows():
    runs = pd.read_csv(RESULTS / "parity-paper" / "fifty-rows.csv")
    assert runs.groupby(["width", "sparsity"]).size().to_dict() == {
        (r, s): 5 for r in (10, 100, 300) for s in (0, 2)
    }
    assert not runs["succeeded"].any()


def test_steps_with_few_and_with_many_rows_follow_from_the_committed_runs(paper_runs):
    few, many = (paper_study(paper_runs, width=300, start=TORCH, n_samples=n) for n in (1000, 6000))
    words = f"width 300, dense: {median_steps(few)} steps with 1000 rows, {median_steps(many)} with 6000"
    assert words in one_line(PARITY)


def test_more_inputs_and_a_higher_degree_are_those_of_the_committed_runs(paper_runs):
    page = one_line(PARITY)
    for start, words in (
        (TORCH, "Dense takes {} steps with 10 000 rows and {} on fresh ones"),
        (SPARSE, "sparse {} and {}"),
    ):
        runs = [paper_study(paper_runs, n_features=100, width=300, start=start, n_samples=n) for n in (10_000, 0)]
        assert [succeeded(one) for one in runs] == ["50 of 50"] * 2
        assert f"{words.format(*map(median_steps, runs))} (p = {p_of_steps(*runs):.1g})" in page
    found = []
    for start, name in ((SPARSE, "sparse"), (TORCH, "dense")):
        many, fresh = (
            paper_study(paper_runs, n_features=150, width=300, start=start, n_samples=n) for n in (10_000, 0)
        )
        assert succeeded(many) == "20 of 20"
        found.append(f"{succeeded(fresh)} {name} (p = {p_of_counts(many['succeeded'], fresh['succeeded']):.1g})")
    assert f"learn; on fresh rows {' and '.join(found)}" in page
    runs = [paper_study(paper_runs, n_informative=4, width=300, start=s, n_samples=0) for s in (SPARSE, TORCH)]
    words = "sparse {}, dense {}".format(*map(median_steps, runs))
    assert f"{words} (p = {p_of_steps(*runs):.1g})" in page


def test_steps_with_more_inputs_follow_from_the_committed_runs(paper_runs):
    written = [row for row in cells(PARITY) if len(row) == 9 and row[0].isdigit()]
    assert len(written) == 8
    for n_features, width, start, *found in written:
        runs = paper_study(paper_runs, n_features=int(n_features), width=int(width), start=start)
        some, many, fresh = (runs[runs["n_samples"] == n] for n in (10_000, 30_000, 0))
        assert (some["succeeded"] == 1).all()
        assert found[:3] == [median_steps(some), succeeded(many), median_steps(many)]
        assert found[3:] == [succeeded(fresh), median_steps(fresh), f"p = {p_of_steps(some, fresh):.1g}"]


def test_steps_of_wide_nets_follow_from_the_committed_runs(paper_runs):
    written = [row for row in cells(PARITY) if len(row) == 5 and row[0].isdigit()]
    assert len(written) == 6
    for width, start, *found in written:
        runs = paper_study(paper_runs, width=int(width), start=start)
        some, many = (runs[runs["n_samples"] == n] for n in (2000, 6000))
        assert (some["succeeded"] == 1).all()
        assert (many["succeeded"] == 1).all()
        assert found == [median_steps(some), median_steps(many), str(len(some))]
        assert len(some) == len(many)


def test_errors_on_parities_of_relus_follow_from_the_committed_runs(paper_runs):
    runs = paper_study(paper_runs, target="relu_parity", max_steps=20_000, width=300)
    assert not runs["succeeded"].any()
    errors = runs.groupby(["start", "n_samples"], observed=True)["test_error"].mean().map("{:.2f}".format)
    sparse, dense = ([errors[start, n] for n in (1000, 3000, 10_000)] for start in (SPARSE, TORCH))
    page = one_line(DETAILS)
    assert "sparse start are {}, {} and {} with 1000, 3000 and 10 000 rows".format(*sparse) in page
    assert "those of the dense one {}, {} and {}.".format(*dense) in page


def test_success_falls_from_many_rows_to_fresh_ones_as_the_page_says(paper_runs):
    words = []
    for start, name in ((TORCH, "dense"), (SPARSE, "sparse")):
        many, fresh = (paper_study(paper_runs, width=10, start=start, n_samples=n) for n in (10_000, 0))
        assert succeeded(many) == "50 of 50"
        p = p_of_counts(many["succeeded"], fresh["succeeded"])
        words.append(f"{succeeded(fresh)} {name} (p = {p:.1g})")
    assert f"with 10 000 rows all 50 runs learn; on fresh rows {' and '.join(words)}" in one_line(PARITY)
