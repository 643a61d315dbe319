"""The report: its numbers are those of the store, and the page stands on its own."""

import itertools
import re
import sqlite3

import numpy as np
import pandas as pd
import pytest

from benchmarks import environment
from benchmarks.__main__ import main
from benchmarks.cli import UsageError
from benchmarks.parity import cost
from benchmarks.report.document import Best, Table
from benchmarks.results import json_file
from benchmarks.results.database import FILE_NAME
from benchmarks.results.store import Store
from benchmarks.speed import command as speed
from benchmarks.tabular import content, setting_sections, summary

ACCURACY = {
    ("alpha", 100): {"rf": 0.70, "sparse_mlp": 0.75, "dense_mlp": 0.71},
    ("alpha", 101): {"rf": 0.72, "sparse_mlp": 0.78, "dense_mlp": 0.72},
    ("beta", 100): {"rf": 0.90, "sparse_mlp": 0.85, "dense_mlp": 0.86},
    ("beta", 101): {"rf": 0.91, "sparse_mlp": 0.87, "dense_mlp": 0.80},
    ("gamma", 100): {"rf": 0.60, "sparse_mlp": 0.62, "dense_mlp": 0.6123},
    ("gamma", 101): {"rf": 0.64, "sparse_mlp": 0.61, "dense_mlp": 0.6077},
}


def evaluation(task, seed, model, accuracy, trial=-1, **changes):
    row = {
        "task": task,
        "size": "rows:1000",
        "seed": seed,
        "model": model,
        "trial": trial,
        "n_train": 1000,
        "fraction": 0.1,
        "n_test": 500,
        "parameters": {},
        "suggestions": {},
        "validation": None,
        "validation_score": None,
        "fold_scores": [],
        "pruned": False,
        "test_accuracy": accuracy,
        "test_roc_auc": None if accuracy is None else accuracy + 0.05,
        "test_log_loss": None,
        "test_brier": None,
        "baseline_score": 0.5,
        "fit_seconds": {"rf": 0.25, "sparse_mlp": 1.5, "dense_mlp": 1.25}[model],
        "predict_seconds": 0.01,
        "tuning_seconds": None,
        "peak_memory": 400.0,
        "calibration": None,
        "threads": 2,
        "warnings": None,
        "failure": None,
    }
    return row | changes


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
            store.add_evaluation(evaluation(task, seed, model, accuracy))
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
        assert "with 2 seeds, two models that are in truth equal are still called a win or a loss on 50%" in text
        assert "Subsets of the published data: beta." in text
        assert "a subset: 5000 of the 9000 published rows" in text
        assert "Seeds: 100, 101." in text
        assert "python -m benchmarks tabular --profile quick --results results" in text
        assert "scikit-learn" in text


def test_the_page_needs_nothing_beside_it_and_names_no_place_of_this_machine(results):
    import platform

    text, page = write(results)
    for source in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert source.startswith(("#", "data:")), source
    assert "@import" not in page
    assert page.count("<svg") == 3
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]*)', page))
    assert referred <= set(ids)
    for document in (text, page):
        assert str(results) not in document
        assert platform.node() not in document


def test_figures_are_written_as_png_and_as_svg_on_request_and_markdown_refers_to_them(results):
    text, _ = write(results)
    assert not list((results / "report").glob("*.svg"))
    assert main(["report", "--results", str(results), "--svg"]) == 0
    names = re.findall(r"\]\(([^)]*)\.png\)", text)
    assert len(names) == 3
    for name in names:
        assert (results / "report" / f"{name}.png").stat().st_size > 5000
        assert (results / "report" / f"{name}.svg").read_text().startswith("<?xml")


def test_development_seeds_are_called_out(results):
    store = Store.open(results)
    store.add_evaluation(evaluation("alpha", 3, "rf", 0.7))
    store.close()
    assert "seeds below 100 are for developing" in write(results)[0]


def test_tasks_with_different_numbers_of_seeds_are_called_out():
    rows = [evaluation("alpha", seed, model, 0.8) for seed in (100, 101) for model in ("rf", "sparse_mlp")]
    rows += [evaluation("beta", 100, model, 0.7) for model in ("rf", "sparse_mlp")]
    (setting,) = summary.settings(frame(rows))
    assert "2 of 2 tasks and 1 to 2 seeds" in setting_sections.model_table(setting).caption
    words = setting_sections.evidence(setting)
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
    store.add_evaluation(evaluation("alpha", 102, "rf", 0.7))
    store.close()
    for text in write(results):
        assert "Caution: the results come from several machines, versions or states of the code" in text
        assert f"sparsemlp code {code}" in text
        assert "sparsemlp code 0123456789ab" in text


def test_a_report_on_synthetic_tasks_alone_says_nothing_of_published_data(tmp_path):
    store = Store.open(tmp_path)
    facts = {"n_rows": 500, "n_features": 7, "n_published": None, "statement": "synthetic", "complete": True}
    store.record_dataset("alpha", facts)
    store.add_evaluation(evaluation("alpha", 100, "rf", 0.7))
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
    json_file.write(path, {"rows": [1.5]})
    with pytest.raises(TypeError):
        json_file.write(path, {"rows": [1.5, object()]})
    assert json_file.read(path) == {"rows": [1.5]}
    with pytest.raises(UsageError, match=r"speed\.json cannot be written"):
        json_file.write(tmp_path / "nowhere" / speed.FILE, {})


def test_what_tuning_chose_is_a_table_only_where_a_net_was_tuned():
    tuned = {"trial": 0, "validation_score": 0.8}
    forest = [
        evaluation("alpha", seed, "rf", 0.7, parameters='{"model__max_depth": 3}', **tuned) for seed in (0, 1)
    ]
    net = [
        evaluation("alpha", seed, "sparse_mlp", 0.7, parameters='{"model__alpha": 0.1}', **tuned)
        for seed in (0, 1)
    ]
    for rows, n_tables in ((forest, 0), (forest + net, 1)):
        (setting,) = summary.settings(frame(rows))
        assert setting.tuned
        tables = setting_sections.section(setting, set()).tables
        found = [table for table in tables if table.caption.startswith("What tuning chose")]
        assert [bool(table.rows) for table in found] == [True] * n_tables


def test_names_are_escaped_in_the_page(results):
    store = Store.open(results)
    store.add_evaluation(evaluation("alpha", 102, "rf", None, failure="ValueError: <b>a & b</b> | c"))
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
            row = evaluation(task, split, model, rng.random(), trial, size=f"fraction:{fraction}")
            store.add_evaluation(row | known)
    store.close()
    store = Store.open(tmp_path)
    report = content.build(store, tmp_path, "python -m benchmarks report")
    store.close()
    shown = [*report.summary.text, *(table.markdown() for section in report.sections for table in section.tables)]
    assert not any("nan" in text for text in shown)


# The numbers behind it -------------------------------------------------------------------------------


def frame(rows):
    return pd.DataFrame([{"id": number} | row for number, row in enumerate(rows)])


def test_the_tuned_trial_is_chosen_by_validation_never_by_test_score():
    rows = frame(
        [
            evaluation("alpha", 100, "rf", 0.7, trial=0, validation_score=0.80),
            evaluation("alpha", 100, "rf", 0.6, trial=1, validation_score=0.82),
            evaluation("alpha", 100, "rf", 0.9, trial=2, validation_score=0.81),
            evaluation("alpha", 100, "rf", None, trial=3, failure="ValueError: no"),
        ]
    )
    (setting,) = summary.settings(rows)
    assert setting.tuned
    assert setting.n_trials == (4, 4)
    assert setting.scores["accuracy"].tolist() == [0.6]


def test_a_failed_fit_counts_as_saying_the_commonest_class():
    rows = frame([evaluation("alpha", 100, "rf", None, failure="no"), evaluation("alpha", 101, "rf", 0.8)])
    (setting,) = summary.settings(rows)
    table = summary.per_task(setting)
    assert table.loc[("alpha", "rf"), "mean"] == pytest.approx(0.65)
    assert table.loc[("alpha", "rf"), "n_failed"] == 1


def test_averages_are_over_what_every_model_has():
    rows = frame(
        [
            evaluation("alpha", 100, "rf", 0.7),
            evaluation("alpha", 100, "sparse_mlp", 0.8),
            evaluation("beta", 100, "rf", 0.1),
        ]
    )
    (setting,) = summary.settings(rows)
    assert summary.per_model(setting)["accuracy"].to_dict() == {"rf": 0.7, "sparse_mlp": 0.8}


def test_a_model_that_lacks_a_score_has_no_average_of_it():
    rows = [
        *(evaluation(task, 100, "rf", 0.9, test_log_loss=0.1) for task in ("easy", "hard")),
        evaluation("easy", 100, "sparse_mlp", 0.9, test_log_loss=0.01),
        evaluation("hard", 100, "sparse_mlp", None, failure="no", test_log_loss=None),
    ]
    (setting,) = summary.settings(frame(rows))
    table = summary.per_model(setting)
    assert table.loc["rf", "test_log_loss"] == pytest.approx(0.1)
    assert np.isnan(table.loc["sparse_mlp", "test_log_loss"])
    assert table.loc["sparse_mlp", "accuracy"] == pytest.approx(0.7)


def test_captions_pictures_and_headlines_of_the_markdown_stand_apart(results):
    text, _ = write(results)
    blocks = [block.splitlines() for block in re.split("\n\n+", text.strip())]
    in_code = False
    for lines in blocks:
        in_code ^= sum(line.startswith("```") for line in lines) % 2
        if not in_code and not lines[0].startswith("```"):
            assert len(lines) == 1 or all(line.startswith("|") for line in lines), lines


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [([0.01, 0.03], "win"), ([-0.01, -0.03], "loss"), ([-0.01, 0.03], "tie"), ([0.0], "tie"), ([0.001], "win")],
)
def test_a_tie_is_within_one_standard_error(differences, verdict):
    rows = []
    for seed, difference in enumerate(differences):
        rows += [evaluation("alpha", seed, "rf", 0.5), evaluation("alpha", seed, "sparse_mlp", 0.5 + difference)]
    (setting,) = summary.settings(frame(rows))
    assert summary.paired(setting, "sparse_mlp", "rf")["verdict"].tolist() == [verdict]


def test_equal_models_are_told_apart_as_often_as_the_report_says():
    draws = np.random.default_rng(0).normal(size=(20_000, 3))
    error = draws.std(axis=1, ddof=1) / np.sqrt(3)
    assert np.mean(np.abs(draws.mean(axis=1)) > error) == pytest.approx(summary.chance_of_a_verdict(3), abs=0.02)


def test_a_markdown_table_is_aligned_and_escapes_bars():
    table = Table("", ["name", "value"], [["a|b", Best("1.0")], ["c", "22.0"]])
    assert table.markdown().splitlines() == [
        "| name |   value |",
        "| ---- | ------: |",
        r"| a\|b | **1.0** |",
        "| c    |    22.0 |",
    ]
