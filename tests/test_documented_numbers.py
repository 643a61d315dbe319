"""Numbers in README.md and docs/, recomputed from the rows that are committed with them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.parity.grids import EXPERIMENTS
from benchmarks.parity.stored_runs import setting_key
from benchmarks.parity.success import Edges, informative_pairs, rates, violations, with_starts
from sparsemlp.frontier import Setting

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PARITY, DETAILS, LUCK, NETS = (ROOT / "docs" / f"parity{name}.md" for name in ("", "-details", "-luck", "-nets"))
SPARSE, TORCH = "sparse, s = 2", "dense, torch's biases"
COMPARISON = ROOT / "docs" / "comparison.md"
SHORT = {"width": 300, "max_steps": 10_000}

#: first cell of a row of README's table -> size
README_ROWS = {"100": "rows:100", "1000": "rows:1000", "10,000 at most": "rows:10000"}


def cells(page: Path) -> list[list[str]]:
    """Return the rows of all Markdown tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def interval(differences: pd.Series, digits: int = 2) -> str:
    """Return the mean and its standard error, as the pages write them."""
    text = f"{differences.mean():+.{digits}f} ± {differences.std() / np.sqrt(len(differences)):.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


@pytest.mark.parametrize("head", README_ROWS)
def test_readmes_table_follows_from_the_committed_scores(head):
    (row,) = (row for row in cells(ROOT / "README.md") if row[0] == head)
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query(f"size == '{README_ROWS[head]}' and not tuned")
    by_split = scores.pivot_table(index=["task", "seed"], columns="model", values="score")
    for i, against in enumerate(("rf", "catboost", "dense_mlp")):
        differences = (by_split["sparse_mlp"] - by_split[against]).groupby("task")
        mean, error = differences.mean(), differences.sem()
        assert len(mean) == 16
        counts = (mean > error).sum(), (mean.abs() <= error).sum(), (mean < -error).sum()
        assert row[1 + 2 * i] == ", ".join(map(str, counts))
        assert row[2 + 2 * i] == interval(100 * mean)
    seconds = scores.groupby("model")["fit_seconds"].mean()
    assert row[7] == ", ".join(f"{seconds[model]:.1f}" for model in ("sparse_mlp", "rf", "catboost"))
    assert row[8] == str(scores["seed"].nunique())


COMPARED = {
    "sparsemlp": "sparse_mlp",
    "CatBoost": "catboost",
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "scikit-learn's boosted trees": "hgb",
    "dense start of the same net": "dense_mlp",
}


@pytest.mark.parametrize(
    "row", [row for row in cells(COMPARISON) if row[0] in COMPARED and "±" in row[1]], ids=str
)
def test_every_number_of_the_comparison_follows_from_the_committed_scores(row):
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query("not tuned")
    by_split = scores.pivot_table(index=["task", "seed", "size"], columns="model", values="score")
    ahead = (by_split[COMPARED[row[0]]] - by_split["rf"]).groupby(["size", "task"]).mean()
    assert row[1:4] == [interval(100 * ahead[size]) for size in README_ROWS.values()]
    seconds = scores[scores["model"] == COMPARED[row[0]]].groupby("size")["fit_seconds"].mean()
    written = [float(text) for text in row[4].split(", ")]
    n_digits = [len(text.partition(".")[2]) for text in row[4].split(", ")]
    assert written == [round(seconds[size], n) for size, n in zip(README_ROWS.values(), n_digits, strict=True)]


def test_the_comparison_has_a_row_for_each_model_and_the_leads_of_the_sparse_start():
    rows = {row[0] for row in cells(COMPARISON) if "±" in row[1]}
    assert rows == set(COMPARED)
    text = " ".join(COMPARISON.read_text(encoding="utf-8").split())
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query("not tuned")
    by_split = scores.pivot_table(index=["task", "seed", "size"], columns="model", values="score")
    leads = (by_split["sparse_mlp"] - by_split["dense_mlp"]).groupby(["size", "task"]).mean()
    first, second, third = (interval(100 * leads[size]).lstrip("+") for size in README_ROWS.values())
    assert f"ahead of the dense one by {first}, {second} and {third} points" in text


SUITES = {"classification, with categories": 334, "regression, with categories": 335, "regression, numbers": 336}


@pytest.mark.parametrize("row", [row for row in cells(ROOT / "README.md") if row[0] in SUITES], ids=" ".join)
def test_readmes_rows_on_other_suites_follow_from_the_committed_scores(row):
    size = row[1].replace(",", "").split()[0]
    scores = pd.read_csv(RESULTS / "suites" / "scores.csv").query(f"size == 'rows:{size}'")
    scores = scores[scores["task"].str.startswith(f"{SUITES[row[0]]}/")]
    by_split = scores.pivot_table(index=["task", "seed"], columns="model", values="score")
    for i, against in enumerate(("rf", "catboost", "sparse_mlp_onehot")):
        if not row[2 + 2 * i]:  # without categories there is nothing to encode
            continue
        differences = (by_split["sparse_mlp"] - by_split[against]).groupby("task")
        mean, error = differences.mean(), differences.sem()
        counts = (mean > error).sum(), (mean.abs() <= error).sum(), (mean < -error).sum()
        assert row[2 + 2 * i] == ", ".join(map(str, counts))
        assert row[3 + 2 * i] == interval(100 * mean)
    assert row[8] == str(scores["seed"].nunique())


def test_the_committed_differences_of_the_tables_follow_from_the_scores():
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv")
    differences = pd.read_csv(RESULTS / "tables" / "comparisons.csv").set_index(["size", "task", "against"])
    by_split = scores.pivot_table(index=["size", "task", "seed"], columns="model", values="score")
    for against in ("rf", "dense_mlp"):
        means = (by_split["sparse_mlp"] - by_split[against]).groupby(["size", "task"]).mean()
        assert len(means) == 48
        for (size, task), mean in means.items():
            assert differences.loc[(size, task, against), "difference"] == pytest.approx(mean, abs=1e-6)


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


@pytest.fixture(scope="module")
def parity_runs():
    return with_starts(pd.read_csv(RESULTS / "parity" / "parity-runs.csv"))


def parity_study(runs, **fields):
    """Return the runs of a setting: what is not named is what the quick grid has."""
    quick = {"n_features": 50, "n_informative": 3, "target": "parity", "flip_y": 0, "loss": "hinge"}
    quick |= {"weight_decay": 0.01, "decay": "coupled", "max_steps": 20_000, "random_state": 0}
    return runs[(runs[list(quick | fields)] == pd.Series(quick | fields)).all(axis=1)]


def steps(runs):
    return np.where(runs["succeeded"] == 1, runs["steps"], np.inf)


def test_the_parity_pages_edges_and_their_ratios_follow_from_the_committed_runs(parity_runs):
    runs = parity_study(parity_runs)
    grid = EXPERIMENTS["slopes"].settings
    edges = Edges(
        runs[runs["n_samples"].isin(s.n_samples for s in grid) & runs["width"].isin(s.width for s in grid)]
    )
    sparse, torchs, zeros = edges.starts
    written = {row[0]: row[1:] for row in cells(DETAILS) if len(row) == 6 and row[0].isdigit()}
    for width in (10, 30, 100, 300, 1000):
        found = [str(edges.edge(start, width)) for start in edges.starts]
        found += [str(edges.ratio(width, sparse, dense)) for dense in (torchs, zeros)]
        assert written[str(width)] == found
    means = [f"{edges.mean_ratio(sparse, dense)[0]}" for dense in (torchs, zeros)]
    text = " ".join(DETAILS.read_text(encoding="utf-8").split())
    assert (
        f"The geometric mean of the ratios is {means[0]} for torch's biases and {means[1]} for zero biases."
        in text
    )
    slopes = [f"{edges.slope(start)[0]:.2f}".replace("-", "\N{MINUS SIGN}") for start in (sparse, torchs)]
    assert f"to the power of {slopes[0]} with s = 2, and {slopes[1]} dense" in text


def test_the_parity_pages_steps_by_rows_follow_from_the_committed_runs(parity_runs):
    written = [row for row in cells(DETAILS) if len(row) == 8 and row[0].isdigit()]
    assert len(written) == 6
    for width, start, *found in written:
        runs = {
            n: parity_study(parity_runs, width=int(width), start=start, n_samples=n) for n in (800, 1500, 6000)
        }
        runs |= {n: parity_study(parity_runs, width=int(width), start=start, n_samples=n) for n in (30_000, 0)}
        assert found[:2] == [f"{runs[n]['succeeded'].sum()} of 20" for n in (800, 1500)]
        for n, text in zip((6000, 30_000, 0), found[2:5], strict=True):
            (row,) = rates(runs[n]).to_dict("records")
            assert (row["successes"], row["runs"]) == (20, 20)
            assert text == f"{row['median_steps']:.0f} ({row['steps_low']:.0f} to {row['steps_high']:.0f})"
        p = stats.mannwhitneyu(steps(runs[6000]), steps(runs[0])).pvalue
        assert found[5] == f"p = {p:.1g}"


def test_the_parity_pages_counts_by_sparsity_follow_from_the_committed_runs(parity_runs):
    runs = parity_study(parity_runs, n_features=30, n_samples=400)
    starts = [*(f"sparse, s = {s}" for s in (1, 2, 3, 4, 8)), "dense, torch's biases", "dense, zero biases"]
    for limit in (5000, 10_000, 20_000):
        (row,) = (row for row in cells(DETAILS) if row[0].replace(" ", "") == f"{limit}steps")
        assert [int(n) for n in row[1:]] == [int((steps(runs[runs["start"] == s]) <= limit).sum()) for s in starts]


def test_the_parity_pages_tickets_follow_from_the_committed_nets():
    nets = pd.read_csv(RESULTS / "parity" / "parity-tickets.csv")
    counts = nets.groupby(["n_informative", "n_samples", "loss", "net"])["succeeded"].sum()
    written = [row for row in cells(LUCK) if len(row) == 5 and row[0].startswith("k = ")]
    keys = [(3, 0, "hinge"), (3, 2000, "hinge"), (5, 0, "hinge"), (5, 0, "cross_entropy")]
    for key, row in zip(keys, written, strict=True):
        full, ticket, random = (int(counts[*key, net]) for net in ("full", "ticket", "random re-initialisation"))
        p = stats.fisher_exact([[ticket, 20 - ticket], [random, 20 - random]]).pvalue
        assert row[1:] == [str(full), str(ticket), str(random), f"p = {p:.1g}"]


@pytest.mark.parametrize(
    ("first", "second", "counts", "p"),
    [
        ({"n_samples": 800, "width": 300, "start": "sparse, s = 2"}, {"start": TORCH}, (13, 3), "0.003"),
        ({"n_samples": 10_000, "width": 10, "start": TORCH}, {"n_samples": 0}, (10, 7), "0.21"),
        ({"n_samples": 3000, "width": 30, "start": TORCH, "weight_decay": 0}, {"width": 300}, (9, 0), "0.0001"),
        ({**SHORT, "n_samples": 1000, "start": "sparse, s = 2"}, {"start": TORCH}, (8, 2), "0.02"),
        ({**SHORT, "n_samples": 1000, "start": "sparse, s = 2", "flip_y": 0.05}, {"start": TORCH}, (3, 0), "0.21"),
        ({**SHORT, "n_samples": 2000, "start": "sparse, s = 2", "flip_y": 0.1}, {"start": TORCH}, (6, 3), "0.37"),
    ],
)
def test_the_parity_pages_differences_of_counts_are_those_of_the_committed_runs(
    parity_runs, first, second, counts, p
):
    runs = [parity_study(parity_runs, **fields)["succeeded"] for fields in (first, first | second)]
    assert tuple(int(one.sum()) for one in runs) == counts
    table = [[int(one.sum()), len(one) - int(one.sum())] for one in runs]
    found = float(stats.fisher_exact(table).pvalue)
    assert found == pytest.approx(float(p), abs=0.5 * 10 ** -len(p.split(".")[1]))
    assert f"p = {p}" in DETAILS.read_text(encoding="utf-8")


# -- the study at the paper's steps and runs -------------------------------------------------------------------


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


def one_line(page):
    return " ".join(page.read_text(encoding="utf-8").split())


def succeeded(runs):
    return f"{runs['succeeded'].sum()} of {len(runs)}"


def median_steps(runs):
    (row,) = rates(runs).to_dict("records")
    return f"{row['median_steps']:.0f} ({row['steps_low']:.0f} to {row['steps_high']:.0f})"


def test_success_and_steps_at_the_papers_size_follow_from_the_committed_runs(paper_runs):
    written = [row for row in cells(PARITY) if len(row) == 8 and row[0].isdigit()]
    assert len(written) == 8
    for width, start, *found in written:
        runs = paper_study(paper_runs, width=int(width), start=start)
        few, some, many, fresh = (runs[runs["n_samples"] == n] for n in (1000, 2000, 6000, 0))
        assert found[:2] == [succeeded(few), succeeded(some)]
        assert found[2:5] == [median_steps(many), succeeded(fresh), median_steps(fresh)]
        assert found[5] == f"p = {stats.mannwhitneyu(steps(many), steps(fresh)).pvalue:.1g}"


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
    found = stats.mannwhitneyu(steps(rows.loc[first]), steps(rows.loc[second])).pvalue
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
    counts = [rows.loc[one]["succeeded"].sum() for one in (first, second)]
    found = stats.fisher_exact([[n, 20 - n] for n in counts]).pvalue
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
    assert f"{stats.mannwhitneyu(steps(small), steps(large)).pvalue:.1g}" == p


def test_large_batches_of_rows_that_come_again_are_slower_from_a_sparse_start(paper_runs):
    small, large = (
        paper_study(paper_runs, max_steps=40_000, width=100, start=SPARSE, n_samples=3000, batch_size=size)
        for size in (8, 512)
    )
    p = stats.mannwhitneyu(steps(small), steps(large)).pvalue
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


@pytest.mark.parametrize("width", [30, 300])
def test_steps_of_both_starts_on_fresh_rows_follow_from_the_committed_runs(paper_runs, width):
    sparse, dense = (paper_study(paper_runs, width=width, n_samples=0, start=start) for start in (SPARSE, TORCH))
    p = stats.mannwhitneyu(steps(sparse), steps(dense)).pvalue
    found = (f"{median_steps(sparse)} steps against", f"{median_steps(sparse)} against")
    assert any(f"{words} {median_steps(dense)}, p = {p:.1g}" in one_line(PARITY) for words in found)


def test_both_starts_with_1000_rows_at_width_300_are_those_of_the_committed_runs(paper_runs):
    sparse, dense = (paper_study(paper_runs, width=300, n_samples=1000, start=start) for start in (SPARSE, TORCH))
    counts = [[runs["succeeded"].sum(), (runs["succeeded"] == 0).sum()] for runs in (sparse, dense)]
    p = stats.fisher_exact(counts).pvalue
    words = (
        f"{succeeded(sparse)} sparse and {counts[1][0]} of 50 dense runs learn within 100 000 steps (p = {p:.1g})"
    )
    assert words in one_line(PARITY)
    p = stats.mannwhitneyu(steps(sparse), steps(dense)).pvalue
    words = f"{median_steps(sparse)} steps against {median_steps(dense)} (p = {p:.1g})"
    assert words in one_line(PARITY)


def test_steps_with_few_and_with_many_rows_follow_from_the_committed_runs(paper_runs):
    few, many = (paper_study(paper_runs, width=300, start=TORCH, n_samples=n) for n in (1000, 6000))
    words = f"width 300, dense: {median_steps(few)} steps with 1000 rows, {median_steps(many)} with 6000"
    assert words in one_line(PARITY)


def test_more_inputs_and_a_higher_degree_are_those_of_the_committed_runs(paper_runs):
    hundred = paper_study(paper_runs, n_features=100)
    assert (hundred["succeeded"] == 1).all()
    for start, words in (
        (TORCH, "dense takes {} steps with 10 000 rows and {} on fresh ones"),
        (SPARSE, "{} and {}"),
    ):
        runs = [paper_study(paper_runs, n_features=100, width=300, start=start, n_samples=n) for n in (10_000, 0)]
        p = stats.mannwhitneyu(*map(steps, runs)).pvalue
        assert f"{words.format(*map(median_steps, runs))} (p = {p:.1g})" in one_line(PARITY)
    runs = [paper_study(paper_runs, n_informative=4, width=300, start=s, n_samples=0) for s in (SPARSE, TORCH)]
    p = stats.mannwhitneyu(*map(steps, runs)).pvalue
    words = "sparse {}, dense {}".format(*map(median_steps, runs))
    assert f"{words} (p = {p:.1g})" in one_line(PARITY)


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
        counts = [[runs["succeeded"].sum(), (runs["succeeded"] == 0).sum()] for runs in (many, fresh)]
        words.append(f"{succeeded(fresh)} {name} (p = {stats.fisher_exact(counts).pvalue:.1g})")
    assert f"with 10 000 rows all 50 runs learn; on fresh rows {' and '.join(words)}" in one_line(PARITY)
