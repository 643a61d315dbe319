"""Numbers in README.md and docs/, recomputed from the rows that are committed with them."""

import re

import numpy as np
import pandas as pd
import pytest
from helpers.documented import (
    DETAILS,
    LUCK,
    RESULTS,
    ROOT,
    TORCH,
    cells,
    interval,
    one_line,
    p_of_counts,
    p_of_steps,
    steps,
)
from scipy import stats

from benchmarks.parity.grids import EXPERIMENTS
from benchmarks.parity.success import Edges, rates, with_starts

COMPARISON = ROOT / "docs" / "comparison.md"
SHORT = {"width": 300, "max_steps": 10_000}

#: first cell of a row of README's table -> size
README_ROWS = {"100": "rows:100", "1000": "rows:1000", "10,000 at most": "rows:10000"}


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
    seconds = scores.groupby("model")["fit_seconds"].median()
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
    seconds = scores[scores["model"] == COMPARED[row[0]]].groupby("size")["fit_seconds"].median()
    written = [float(text) for text in row[4].split(", ")]
    n_digits = [len(text.partition(".")[2]) for text in row[4].split(", ")]
    assert written == [round(seconds[size], n) for size, n in zip(README_ROWS.values(), n_digits, strict=True)]
    assert row[5] == f"{microseconds_of_a_prediction()[COMPARED[row[0]]]:.0f}"


def microseconds_of_a_prediction():
    """Return the median time that a predicted row takes each model after a fit to 10,000 rows."""
    rows = pd.read_csv(RESULTS / "tables" / "evaluations.csv").query("size == 'rows:10000' and trial == -1")
    return (1e6 * rows["predict_seconds"] / rows["n_test"]).groupby(rows["model"]).median()


def test_readmes_times_beside_other_models_follow_from_the_committed_scores():
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query("not tuned")
    seconds = scores.groupby(["size", "task", "model"])["fit_seconds"].median().unstack()
    faster = (seconds["sparse_mlp"] < seconds["catboost"]).groupby("size").sum()
    first, second, third = (faster[size] for size in README_ROWS.values())
    text = one_line(ROOT / "README.md")
    assert f"the net is faster than CatBoost on {first}, {second} and {third} at the three sizes" in text
    large = scores[scores["size"] == "rows:10000"].groupby("model")["fit_seconds"].median()
    lightgbm, hgb, net = (f"{large[model]:.1f}" for model in ("lightgbm", "hgb", "sparse_mlp"))
    assert f"{lightgbm} and {hgb} seconds at 10,000 rows, where the net takes {net}" in text
    a_row = microseconds_of_a_prediction()
    net, catboost, forest = (f"{a_row[model]:.0f}" for model in ("sparse_mlp", "catboost", "rf"))
    assert f"a row takes the net {net} µs, CatBoost {catboost} and the forest {forest}" in text


def test_the_comparison_has_a_row_for_each_model_and_the_leads_of_the_sparse_start():
    rows = {row[0] for row in cells(COMPARISON) if "±" in row[1]}
    assert rows == set(COMPARED)
    text = one_line(COMPARISON)
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query("not tuned")
    by_split = scores.pivot_table(index=["task", "seed", "size"], columns="model", values="score")
    leads = (by_split["sparse_mlp"] - by_split["dense_mlp"]).groupby(["size", "task"]).mean()
    first, second, third = (interval(100 * leads[size]).lstrip("+") for size in README_ROWS.values())
    assert f"ahead of the dense one by {first}, {second} and {third} points" in text


def means(column, size):
    """Return the mean over seeds of every task (rows) and model (columns) that README ranks."""
    rows = pd.read_csv(RESULTS / "tables" / "evaluations.csv").query(f"size == '{size}' and trial == -1")
    ranked = ["sparse_mlp", "dense_mlp", "rf", "catboost", "lightgbm", "xgboost", "hgb"]
    return rows.pivot_table(index="task", columns="model", values=column)[ranked]


def test_readmes_ranks_leads_and_log_losses_follow_from_the_committed_scores():
    scores = {size: 100 * means("test_accuracy", size) for size in README_ROWS.values()}
    losses = {size: means("test_log_loss", size).mean() for size in README_ROWS.values()}
    ranks = {size: by_task.rank(axis=1, ascending=False).mean() for size, by_task in scores.items()}
    of = {model: [f"{rank[model]:.1f}" for rank in ranks.values()] for model in ("sparse_mlp", "catboost")}
    text = one_line(ROOT / "README.md")
    ours, theirs = (" and ".join(of[model][:2]) for model in of)
    assert f"the second best mean rank at 100 and 1000 rows ({ours}; CatBoost {theirs})" in text
    assert [rank.rank()["sparse_mlp"] for rank in list(ranks.values())[:2]] == [2, 2]
    best = ranks["rows:10000"].min()
    assert ranks["rows:10000"]["sparse_mlp"] == ranks["rows:10000"]["catboost"] == best
    assert f"shares the first with CatBoost at 10,000 ({best:.1f})" in text
    for model, end in (("lightgbm", "points at the three sizes"), ("xgboost", None)):
        ahead = [f"{(by_task['sparse_mlp'] - by_task[model]).mean():.1f}" for by_task in scores.values()]
        assert f"{ahead[0]}, {ahead[1]} and {ahead[2]}{f' {end}' if end else '.'}" in text
    for words, size in (
        ("smallest at 100 rows ({}; CatBoost {})", "rows:100"),
        ("level with CatBoost's at 1000 ({} and {})", "rows:1000"),
        ("second to it at 10,000 ({} and {})", "rows:10000"),
    ):
        assert words.format(*(f"{losses[size][model]:.3f}" for model in ("sparse_mlp", "catboost"))) in text


def test_what_is_said_of_tabm_follows_from_the_committed_scores():
    scores = pd.read_csv(RESULTS / "tabm.csv").pivot_table(index="task", columns="model", values="score")
    behind = {
        model: interval(100 * (scores[model] - scores["tabm"])).lstrip("+") for model in ("sparse_mlp", "rf")
    }
    assert len(scores) == 16
    assert f"TabM {behind['sparse_mlp']} (one seed" in one_line(ROOT / "README.md")
    words = f"{behind['rf']} points behind the forest and {behind['sparse_mlp']} behind this package"
    assert words in one_line(COMPARISON)


def test_the_untuned_net_beside_tuned_trees_follows_from_the_committed_scores():
    scores = pd.read_csv(RESULTS / "tables" / "scores.csv").query(
        "size == 'rows:10000' and not tuned and model == 'sparse_mlp' and seed == 100"
    )
    tuned = pd.read_csv(RESULTS / "tuned-10000" / "accuracies.csv").query("tuned")
    assert (tuned["n_seeds"] == 1).all()  # 100, as the report's commands say
    by_task = tuned.pivot_table(index="task", columns="model", values="mean")
    ahead = by_task.rsub(scores.set_index("task")["score"], axis=0)[["rf", "hgb"]]
    assert len(ahead) == 16
    text = one_line(ROOT / "README.md")
    assert f"({interval(100 * ahead['rf'])}; ahead on {(ahead['rf'] > 0).sum()} of 16)" in text
    behind = interval(-100 * ahead["hgb"]).lstrip("+")
    assert f"scikit-learn's, tuned, are {behind} points ahead of the untuned net (one seed" in text


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


@pytest.mark.parametrize(("label", "size", "of"), [("1000", "rows:1000", ""), ("10,000", "rows:10000", "the ")])
def test_readmes_words_on_regression_follow_from_the_committed_scores(label, size, of):
    scores = pd.read_csv(RESULTS / "suites" / "scores.csv").query(f"size == '{size}'")
    scores = scores[~scores["task"].str.startswith("334/")]
    by_split = scores.pivot_table(index=["task", "seed"], columns="model", values="score")
    ahead, by = [], []
    for against in ("rf", "catboost"):
        differences = (by_split["sparse_mlp"] - by_split[against]).groupby("task")
        ahead.append((differences.mean() > differences.sem()).sum())
        by.append(differences.mean().mean())
    (row,) = (row for row in cells(ROOT / "README.md") if row[0] == f"regression, {label} rows")
    assert f"ahead of a forest on {ahead[0]} of {of}31" in row[2]
    assert f"of CatBoost on {ahead[1]}, R² on average {by[0]:.3f} and {by[1]:.3f} higher" in row[2]
    seconds = scores.groupby("model")["fit_seconds"].median()
    if size == "rows:10000":
        assert f"a fit takes the net {seconds['sparse_mlp']:.0f} s, CatBoost {seconds['catboost']:.0f}" in row[2]


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
    text = one_line(DETAILS)
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
        p = p_of_steps(runs[6000], runs[0])
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
    assert p_of_counts(*runs) == pytest.approx(float(p), abs=0.5 * 10 ** -len(p.split(".")[1]))
    assert f"p = {p}" in DETAILS.read_text(encoding="utf-8")


def test_times_of_many_rows_follow_from_the_committed_fits():
    fits = pd.read_csv(RESULTS / "many_rows.csv")
    documented = {row[0]: row for row in cells(ROOT / "docs" / "limits.md")}
    for table, rows in fits.groupby("table"):
        mean = rows.groupby("training")[["cpu_seconds", "epochs", "score"]].mean()
        small, now = mean.loc["as small"], mean.loc["auto"]
        assert documented[table] == [
            table,
            f"{rows.rows.iloc[0]:,} x {rows['columns'].iloc[0]}",
            str(len(rows) // 2),
            f"{now.cpu_seconds / small.cpu_seconds:.2f}",
            f"{small.epochs:.0f}",
            f"{now.epochs:.0f}",
            f"{small.score:.2f}",
            f"{now.score:.2f}",
        ]
