"""The sparse net against the stronger of two forests and each rival: who is compared, and in how many points."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.benchmark_toys import evaluation, measured, stored

from benchmarks.__main__ import main
from benchmarks.results.store import Store
from benchmarks.tabular import scores
from benchmarks.tabular.comparisons import chance_of_a_verdict, compare, stronger_of
from benchmarks.tabular.sections import comparison_table

DEFAULT, TUNED = -1, 0


def conditions(*groups):
    """Return the conditions of groups of (model, trial, accuracies[task][seed]), one training-set size."""
    rows = [
        evaluation(
            id=number,
            kind="classification",
            task=task,
            seed=100 + seed,
            model=model,
            trial=trial,
            test_accuracy=accuracy,
            validation_score=None if trial == DEFAULT else 0.5,
            parameters=json.dumps({}),
            failure=None,
        )
        for number, (model, trial, task, seed, accuracy) in enumerate(
            (model, trial, task, seed, accuracy)
            for model, trial, by_task in groups
            for task, values in by_task.items()
            for seed, accuracy in enumerate(values)
            if accuracy is not None
        )
    ]
    return scores.conditions(pd.DataFrame(rows))


def stronger_forest(found):
    """Return the stronger forest's accuracies by task."""
    chosen = stronger_of([condition.of("rf") for condition in found])
    return {task: rows.sort_values("seed")["score"].tolist() for task, rows in chosen.groupby("task")}


def shown(found):
    """Return rival, seeds, points, difference and p of the table's rows."""
    return [[row[1], row[3], *row[5:]] for row in comparison_table(found, set()).rows]


# The stronger forest ---------------------------------------------------------------------------------


def test_the_stronger_forest_is_chosen_task_by_task():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.7, 0.8], "b": [0.9, 0.9]}),
        ("rf", TUNED, {"a": [0.8, 0.8], "b": [0.8, 0.9]}),
    )
    assert stronger_forest(found) == {"a": [0.8, 0.8], "b": [0.9, 0.9]}


def test_forests_are_compared_on_the_seeds_that_both_have():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.7, 0.99], "b": [0.7, 0.1]}),  # seed 101 is not tuned
        ("rf", TUNED, {"a": [0.8], "b": [0.6]}),
    )
    assert stronger_forest(found) == {"a": [0.8], "b": [0.7, 0.1]}


def test_a_forest_without_common_seeds_does_not_take_the_place_of_the_first():
    found = conditions(("rf", DEFAULT, {"a": [0.7]}), ("rf", TUNED, {"a": [None, 0.9]}))
    assert stronger_forest(found) == {"a": [0.7]}


@pytest.mark.parametrize("trial", [DEFAULT, TUNED])
def test_a_single_forest_is_the_stronger_one(trial):
    found = conditions(("rf", trial, {"a": [0.7], "b": [0.6]}), ("hgb", trial, {"a": [0.9], "b": [0.9]}))
    assert stronger_forest(found) == {"a": [0.7], "b": [0.6]}


def test_without_forests_there_is_none():
    found = conditions(("hgb", DEFAULT, {"a": [0.7]}), ("sparse_mlp", DEFAULT, {"a": [0.8]}))
    assert [row[0] for row in shown(found)] == ["Boosted trees"]


# Points and rows -------------------------------------------------------------------------------------


def test_ties_count_half():
    found = conditions(
        ("rf", DEFAULT, {"won": [0.5, 0.5], "tied": [0.5, 0.5], "lost": [0.5, 0.5], "equal": [0.5, 0.5]}),
        ("sparse_mlp", DEFAULT, {"won": [0.6, 0.7], "tied": [0.4, 0.6], "lost": [0.4, 0.3], "equal": [0.5, 0.5]}),
    )
    assert compare(found[0].of("sparse_mlp"), found[0].of("rf")).points == 2
    assert shown(found)[0][:3] == ["Untuned forest", "2", "2 of 4"]


def test_one_row_for_each_forest_and_for_every_other_rival():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.6, 0.7]}),
        ("sparse_mlp", DEFAULT, {"a": [0.8, 0.8]}),
        ("dense_mlp", DEFAULT, {"a": [0.9, 0.9]}),
        ("rf", TUNED, {"a": [0.84, 0.86]}),
        ("sparse_mlp", TUNED, {"a": [0.9, 0.9]}),
    )
    assert shown(found) == [
        ["Stronger forest", "2", "0 of 1", "-5.00 ± -", "-"],  # the tuned forest, though the net is not tuned
        ["Untuned forest", "2", "1 of 1", "+15.00 ± -", "-"],
        ["Tuned forest", "2", "0 of 1", "-5.00 ± -", "-"],
        ["Dense net", "2", "0 of 1", "-10.00 ± -", "-"],
        ["Stronger forest", "2", "1 of 1", "+5.00 ± -", "-"],
        ["Untuned forest", "2", "1 of 1", "+25.00 ± -", "-"],
        ["Tuned forest", "2", "1 of 1", "+5.00 ± -", "-"],
    ]


def test_the_difference_has_its_error_over_tasks():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.5], "b": [0.5]}), ("sparse_mlp", DEFAULT, {"a": [0.52], "b": [0.56]})
    )
    ((_, seeds, points, difference, _),) = shown(found)
    assert (seeds, points, difference) == ("1", "2 of 2", "+4.00 ± 2.00")


def test_with_one_seed_every_difference_counts():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.5], "b": [0.5]}), ("sparse_mlp", DEFAULT, {"a": [0.5], "b": [0.501]})
    )
    assert shown(found)[0][1:3] == ["1", "1.5 of 2"], "only the same accuracy is a tie"


def test_tasks_of_fewer_seeds_are_told():
    found = conditions(
        ("rf", DEFAULT, {"a": [0.5, 0.5], "b": [0.5, 0.5]}), ("sparse_mlp", DEFAULT, {"a": [0.6, 0.6], "b": [0.6]})
    )
    assert shown(found)[0][1] == "1 to 2"


def test_where_the_net_has_met_nobody_there_is_no_section():
    assert shown([]) == []
    assert shown(conditions(("rf", DEFAULT, {"a": [0.5]}))) == []
    assert shown(conditions(("sparse_mlp", DEFAULT, {"a": [0.5]}))) == []
    elsewhere = conditions(("rf", DEFAULT, {"a": [0.5]}), ("sparse_mlp", DEFAULT, {"b": [0.5]}))
    assert shown(elsewhere) == []


def test_rivals_are_met_without_any_forest(recwarn):
    found = conditions(("sparse_mlp", DEFAULT, {"a": [0.6]}), ("hgb", DEFAULT, {"a": [0.5]}))
    ((rival, *_, difference, _),) = shown(found)
    assert rival == "Boosted trees"
    assert difference.startswith("+10.00")
    assert not recwarn.list


# In the report ---------------------------------------------------------------------------------------


def test_the_report_has_the_section_once(tmp_path):
    store = Store.open(tmp_path)
    facts = {"n_rows": 600, "n_features": 4, "n_published": 600, "statement": "all of them", "complete": True}
    for task in ("a", "b"):
        store.record_dataset(task, facts)
        for model, accuracy in (("rf", 0.7), ("sparse_mlp", 0.8), ("dense_mlp", 0.75)):
            for trial in (DEFAULT, TUNED):
                known = {"validation_score": 0.7, "tuning_seconds": 1.0} if trial == TUNED else {}
                row = evaluation(task=task, model=model, trial=trial, test_accuracy=accuracy, **known)
                store.add_evaluation(row)
    store.close()
    assert main(["report", "--results", str(tmp_path)]) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert text.count("against every rival") == 1
    rows = [line for line in text.splitlines() if "Stronger forest " in line and line.startswith("|")]
    assert len(rows) == 2, "one at the defaults, one tuned"
    assert all("2 of 2" in row and "+10.00 ± 0.00" in row for row in rows)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        *(([0.01, 0.03], "win"), ([-0.01, -0.03], "loss"), ([-0.01, 0.03], "tie"), ([0.0], "tie")),
        *(([0.001], "win"), ([0.0, 0.01], "tie"), ([0.0, -0.017], "tie"), ([1e-17], "tie")),
    ],
)
def test_a_tie_is_within_one_standard_error(differences, verdict):
    rows = []
    for seed, difference in enumerate(differences):
        rows += [measured("alpha", seed, "rf", 0.5), measured("alpha", seed, "sparse_mlp", 0.5 + difference)]
    (condition,) = scores.conditions(stored(rows))
    assert compare(condition.of("sparse_mlp"), condition.of("rf")).tasks["verdict"].tolist() == [verdict]


def test_equal_models_are_told_apart_as_often_as_the_report_says():
    draws = np.random.default_rng(0).normal(size=(20_000, 3))
    error = draws.std(axis=1, ddof=1) / np.sqrt(3)
    assert np.mean(np.abs(draws.mean(axis=1)) > error) == pytest.approx(chance_of_a_verdict(3), abs=0.02)
