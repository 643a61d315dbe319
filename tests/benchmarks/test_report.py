"""The report: its numbers are those of the store, and the page stands on its own."""

import itertools
import re
import sqlite3

import numpy as np
import pandas as pd
import pytest
from helpers.benchmark_toys import measured, stored

from benchmarks import environment
from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.models import MODELS
from benchmarks.parity import cost
from benchmarks.report.document import Best, Table, number
from benchmarks.report.style import styles
from benchmarks.results import jsonl
from benchmarks.results.database import FILE_NAME
from benchmarks.results.store import Store
from benchmarks.speed import command as speed
from benchmarks.tabular import condition_sections, scores
from benchmarks.write_report import compose

pytestmark = pytest.mark.usefixtures("undrawn")

ACCURACY = {
    ("alpha", 100): {"rf": 0.70, "sparse_mlp": 0.75, "dense_mlp": 0.71},
    ("alpha", 101): {"rf": 0.72, "sparse_mlp": 0.78, "dense_mlp": 0.72},
    ("beta", 100): {"rf": 0.90, "sparse_mlp": 0.85, "dense_mlp": 0.86},
    ("beta", 101): {"rf": 0.91, "sparse_mlp": 0.87, "dense_mlp": 0.80},
    ("gamma", 100): {"rf": 0.60, "sparse_mlp": 0.62, "dense_mlp": 0.6123},
    ("gamma", 101): {"rf": 0.64, "sparse_mlp": 0.61, "dense_mlp": 0.6077},
}


@pytest.fixture
def results(tmp_path):
    """A results folder with known numbers; its report is written."""
    folder = tmp_path / "results"
    store = Store.open(folder)
    store.record_command("python -m benchmarks tabular --profile quick --results results")
    for task, n_rows, published in (("alpha", 5000, 5000), ("beta", 5000, 9000), ("gamma", 5000, 5000)):
        statement = "a subset: 5000 of the 9000 published rows" if n_rows < published else "all of them"
        facts = {"n_rows": n_rows, "n_features": 7, "n_published": published, "statement": statement}
        store.record_dataset(task, facts | {"complete": n_rows == published})
    for (task, seed), accuracies in ACCURACY.items():
        for model, accuracy in accuracies.items():
            store.add_evaluation(measured(task, seed, model, accuracy))
    store.close()
    return folder


def write(folder):
    assert main(["report", "--results", str(folder)]) == 0
    report = folder / "report"
    return (report / "report.md").read_text(), (report / "index.html").read_text()


def cells(text, first):
    """Return the cells of the first table row that begins with ``first``."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_holds_the_numbers_of_the_store(results):
    text, _ = write(results)
    with sqlite3.connect(results / FILE_NAME) as connection:
        rows = pd.read_sql("select * from evaluations", connection)
    connection.close()
    for task in ("alpha", "beta", "gamma"):
        shown = cells(text, task if task != "beta" else "beta *")[2:]
        for name, cell in zip(("rf", "sparse_mlp", "dense_mlp"), shown, strict=True):
            values = rows.loc[(rows["task"] == task) & (rows["model"] == name), "test_accuracy"]
            expected = f"{100 * values.mean():.1f} ± {100 * values.std() / np.sqrt(2):.1f}"
            assert cell.strip("*").removesuffix(" ≈") == expected


def test_the_best_of_a_task_is_bold(results):
    text, page = write(results)
    assert "**76.5 ± 1.5**" in cells(text, "alpha")
    assert "**90.5 ± 0.5**" in cells(text, "beta *")
    assert "<strong>76.5 ± 1.5</strong>" in page
    assert "<strong>71.0 ± 1.0</strong>" not in page


def test_wins_ties_and_losses_are_counted_from_paired_differences(results):
    text, _ = write(results)
    assert "1 won, 1 tied, 1 lost; mean accuracy difference +0.17 ± 2.91 percentage points" in text
    assert "1/1/1" in cells(text, "Sparse net (sparse_mlp)")


def test_the_averages_are_those_of_the_store(results):
    text, _ = write(results)
    row = cells(text, "Sparse net (sparse_mlp)")
    means = [
        np.mean([ACCURACY[task, seed]["sparse_mlp"] for seed in (100, 101)]) for task in ("alpha", "beta", "gamma")
    ]
    assert row[1].strip("*") == f"{100 * np.mean(means):.2f}"
    assert row[2].strip("*") == f"{(1 + 2 + 2) / 3:.2f}"
    assert "1.50" in row


def test_the_report_says_how_weak_two_seeds_are_and_which_data_are_subsets(results):
    for text in write(results):
        assert "with 2 seeds, two models that are in truth equal are called a win or a loss on 50%" in text
        assert "1 of 3 tables: beta (a subset: 5000 of the 9000 published rows)." in text
        assert "Not the published data in full, see Data: beta." in text
        assert "ranks that differ by less than the critical difference, 1.91, are not told apart" in text
        assert re.search("which no rank or comparison includes: .*Boosted trees", text)
        assert "a subset: 5000 of the 9000 published rows" in text
        assert "Seeds: 100, 101." in text
        assert "python -m benchmarks tabular --profile quick --results results" in text
        assert "scikit-learn" in text


def test_the_page_needs_nothing_beside_it_and_names_no_place_of_this_machine(results):
    import platform

    text, page = write(results)
    links = [source for source in re.findall(r'(?:src|href)="([^"]*)"', page) if not source.startswith("#")]
    assert links == ["evaluations.csv", "scores.csv", "comparisons.csv", "environments.csv"]
    assert all((results / "report" / name).stat().st_size for name in links)
    assert "@import" not in page
    assert page.count("<svg") == 3
    for document in (text, page):
        assert str(results) not in document
        assert platform.node() not in document


def test_won_tied_lost_and_every_interval_can_be_recomputed_from_the_raw_rows(results):
    store = Store.open(results)
    store.add_evaluation(measured("beta", 102, "rf", None, failure="ValueError: no", baseline_score=0.55))
    store.add_evaluation(measured("beta", 102, "sparse_mlp", 0.86))
    for trial, (validation, test) in enumerate(((0.7, 0.71), (0.9, 0.74), (0.8, 0.99))):
        store.add_evaluation(measured("alpha", 100, "rf", test, trial=trial, validation_score=validation))
    store.close()
    text, _ = write(results)
    raw = pd.read_csv(results / "report" / "evaluations.csv")
    raw["score"] = raw["test_accuracy"].where(raw["failure"].isna(), raw["baseline_score"])
    default = raw[raw["trial"] == -1].pivot(index=["task", "seed"], columns="model", values="score")
    difference = (default["sparse_mlp"] - default["rf"]).dropna().groupby("task")
    mean, error = difference.mean(), difference.std() / np.sqrt(difference.size())
    won, lost = int((mean > error).sum()), int((mean < -error).sum())
    over_tasks = f"{100 * mean.mean():+.2f} ± {100 * mean.std() / np.sqrt(len(mean)):.2f}"
    row = next(line for line in text.splitlines() if "default configurations | Untuned forest" in line)
    assert f" {won}/{len(mean) - won - lost}/{lost} " in row
    assert f" {over_tasks} " in row
    of_beta = 100 * default["rf"].xs("beta")
    assert f"{of_beta.mean():.1f} ± {of_beta.std() / np.sqrt(3):.1f} " in "".join(cells(text, "beta *"))
    best = raw[raw["trial"] >= 0].sort_values("validation_score").groupby(["task", "seed", "model"]).tail(1)
    assert best["score"].tolist() == [0.74]
    chosen = pd.read_csv(results / "report" / "scores.csv")
    assert chosen[chosen["tuned"]]["score"].tolist() == [0.74]
    merged = chosen[~chosen["tuned"]].pivot(index=["task", "seed"], columns="model", values="score")
    pd.testing.assert_frame_equal(merged, default)
    written = pd.read_csv(results / "report" / "comparisons.csv").query("against == 'rf'").set_index("task")
    np.testing.assert_allclose(written["standard_error"], error, rtol=1e-6)  # seven digits
    overlap = 1 + difference.size() * 500 / 10_000  # test rows over rows of the pool
    np.testing.assert_allclose(written["corrected_error"], error * np.sqrt(overlap), rtol=1e-6)


def test_every_section_is_in_the_table_of_contents(results):
    page = write(results)[1]
    headings = re.findall(r'<h2 id="([^"]*)">', page)
    assert headings == re.findall(r'<li><a href="#([^"]*)">', page)
    assert len(headings) == len(set(headings)) > 3


@pytest.mark.parametrize("tuned", [False, True])
def test_the_first_screen_says_at_how_many_rows_parities_are_learned(tmp_path, tuned):
    learned = {  # accuracy by rows, a list of seeds
        "sparse_mlp": {100: [0.5, 0.5], 1000: [0.9, 1.0], 10_000: [1.0, 1.0]},
        "dense_mlp": {100: [0.9, 1.0], 1000: [1.0, 1.0], 10_000: [1.0, 1.0]},
        "rf": {100: [0.5, 0.5], 1000: [0.5, 0.5], 10_000: [0.5, 0.7]},
    }
    store = Store.open(tmp_path)
    known = {"validation_score": 0.7, "tuning_seconds": 1.0} if tuned else {}
    known |= {"fraction": 0.0}
    for model, sizes in learned.items():
        for n_train, accuracies in sizes.items():
            for seed, accuracy in enumerate(accuracies):
                row = measured("parity-50-3", 100 + seed, model, accuracy, trial=0 if tuned else -1)
                store.add_evaluation(row | known | {"size": f"rows:{n_train}", "n_train": n_train})
    store.add_evaluation(measured("alpha", 100, "rf", 0.7))
    store.add_evaluation(measured("alpha", 100, "sparse_mlp", 0.8))
    store.close()
    text, _ = write(tmp_path)
    first = text.split("\n## ")[0]
    sparse, dense = 100 * 10 ** (0.4 / 0.45), 100
    fastest = 100 * 10 ** (0.4 / 0.5)
    assert f"Sparse net {sparse:.0f} ({fastest:.0f} to 1000)" in first
    assert f"Dense net at most {dense};" in first
    assert "Random forest not with 10000, where it is at 60%." in first
    assert "(parity-accuracy-by-rows.png)" in first
    assert "on 1 task: 1 won" in first, "parities do not count as tables"
    assert re.search(r"Untuned forest \| +1 \| ", first)
    assert "parity-50-3 |  1000 |     2 |" in text
    assert "sampled for every seed: parity-50-3." in text


def test_development_seeds_are_called_out(results):
    store = Store.open(results)
    store.add_evaluation(measured("alpha", 3, "rf", 0.7))
    store.close()
    assert "seeds below 100 are for developing" in write(results)[0]


def test_tasks_with_different_numbers_of_seeds_are_called_out():
    rows = [measured("alpha", seed, model, 0.8) for seed in (100, 101) for model in ("rf", "sparse_mlp")]
    rows += [measured("beta", 100, model, 0.7) for model in ("rf", "sparse_mlp")]
    (condition,) = scores.conditions(stored(rows))
    assert "2 of 2 tasks and 1 to 2 seeds" in condition_sections.model_table(condition, None).caption
    words = condition_sections.evidence(condition)
    assert "with 2 seeds" in words
    assert "With a single seed" in words


def test_a_report_without_results_says_so(tmp_path):
    Store.open(tmp_path).close()
    assert "no results yet" in write(tmp_path)[0]


def test_results_of_other_code_are_called_out_and_both_fingerprints_are_there(results, monkeypatch):
    assert "Caution: the results come from several" not in write(results)[0]
    code = environment.versions()[environment.CODE]
    monkeypatch.setattr(environment, "versions", lambda: {"python": "3", environment.CODE: "0123456789ab"})
    store = Store.open(results)
    store.add_evaluation(measured("alpha", 102, "rf", 0.7))
    store.close()
    for text in write(results):
        assert "Caution: the results come from several machines, versions or states of the code" in text
        assert f"sparsemlp code {code}" in text
        assert "sparsemlp code 0123456789ab" in text


def test_a_report_on_synthetic_tasks_alone_says_nothing_of_published_data(tmp_path):
    store = Store.open(tmp_path)
    facts = {"n_rows": 500, "n_features": 7, "n_published": None, "statement": "synthetic", "complete": True}
    store.record_dataset("alpha", facts)
    store.add_evaluation(measured("alpha", 100, "rf", 0.7))
    store.close()
    for text in write(tmp_path):
        assert "published" not in text
        assert "synthetic" in text


@pytest.mark.parametrize("name", [speed.FILE, cost.FILE])
@pytest.mark.parametrize("content", ['{"command": "python', "", "[]", b"\xff"])
def test_damaged_measurements_are_one_line_that_names_the_file(results, capsys, name, content):
    (results / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["report", "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"{name} is damaged" in error
    assert "measure again, or remove it" in error


def test_measurements_that_cannot_be_finished_leave_those_before(tmp_path):
    path = tmp_path / speed.FILE
    jsonl.write(path, {"rows": [1.5]})
    with pytest.raises(TypeError):
        jsonl.write(path, {"rows": [1.5, object()]})
    assert jsonl.read(path) == {"rows": [1.5]}
    with pytest.raises(UsageError, match=r"speed\.json cannot be written"):
        jsonl.write(tmp_path / "nowhere" / speed.FILE, {})


def test_what_tuning_chose_is_a_table_only_where_a_net_was_tuned():
    tuned = {"trial": 0, "validation_score": 0.8}
    forest = [measured("alpha", seed, "rf", 0.7, parameters='{"model__max_depth": 3}', **tuned) for seed in (0, 1)]
    net = [
        measured("alpha", seed, "sparse_mlp", 0.7, parameters='{"model__alpha": 0.1}', **tuned) for seed in (0, 1)
    ]
    for rows, n_tables in ((forest, 0), (forest + net, 1)):
        (condition,) = scores.conditions(stored(rows))
        assert condition.tuned
        tables = condition_sections.section(condition, set()).tables
        found = [table for table in tables if table.caption.startswith("What tuning chose")]
        assert [bool(table.rows) for table in found] == [True] * n_tables


def test_names_are_escaped_in_the_page(results):
    store = Store.open(results)
    store.add_evaluation(measured("alpha", 102, "rf", None, failure="ValueError: <b>a & b</b> | c"))
    store.close()
    text, page = write(results)
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in page
    assert r"</b> \| c" in text


@pytest.mark.parametrize("seed", range(4))
def test_a_report_can_be_written_at_any_moment_of_a_run(tmp_path, seed):
    rng = np.random.default_rng(seed)
    store = Store.open(tmp_path)
    for task in ("alpha", "beta"):
        facts = {"n_rows": 5000, "n_features": 7, "n_published": 5000, "statement": "all", "complete": True}
        store.record_dataset(task, facts)
    grid = itertools.product(("alpha", "beta"), (100, 101), ACCURACY["alpha", 100], (-1, 0, 1), (0.1, 1.0))
    for task, split, model, trial, fraction in grid:
        if rng.random() < 0.1 + 0.15 * seed:
            known = {"validation_score": 0.7, "tuning_seconds": 1.0, "validation": "5-fold"} if trial >= 0 else {}
            if rng.random() < 0.2:
                known |= {"failure": "ValueError: no", "test_accuracy": None, "validation_score": None}
            row = measured(task, split, model, rng.random(), trial, size=f"fraction:{fraction}")
            store.add_evaluation(row | known)
    store.close()
    store = Store.open(tmp_path)
    report = compose(store, tmp_path, "python -m benchmarks report")
    store.close()
    shown = [*report.summary.text, *(table.markdown() for section in report.sections for table in section.tables)]
    assert not any("nan" in text for text in shown)


def test_captions_pictures_and_headlines_of_the_markdown_stand_apart(results):
    text, _ = write(results)
    blocks = [block.splitlines() for block in re.split("\n\n+", text.strip())]
    in_code = False
    for lines in blocks:
        in_code ^= sum(line.startswith("```") for line in lines) % 2
        if not in_code and not lines[0].startswith("```"):
            assert len(lines) == 1 or all(line.startswith("|") for line in lines), lines


def test_the_smallest_loss_that_is_shown_as_zero_has_no_sign():
    assert number(-0.001, "{:+.2f}") == "+0.00"
    assert number(-0.006, "{:+.2f}") == "-0.01"
    assert number(float("nan"), "{:+.2f}") == "-"


def test_no_two_models_look_alike():
    looks = [tuple(style.values()) for style in styles(MODELS, MODELS).values()]
    assert len(looks) == len(set(looks)) == len(MODELS)


def test_a_markdown_table_is_aligned_and_escapes_bars():
    table = Table("", ["name", "value"], [["a|b", Best("1.0")], ["c", "22.0"]])
    assert table.markdown().splitlines() == [
        "| name |   value |",
        "| ---- | ------: |",
        r"| a\|b | **1.0** |",
        "| c    |    22.0 |",
    ]
