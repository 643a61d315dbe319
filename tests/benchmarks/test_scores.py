"""The numbers behind the report: what counts as a score, and averages of scores."""

import numpy as np
import pytest
from helpers.benchmark_toys import measured, stored

from benchmarks.tabular import condition_sections, scores
from benchmarks.tabular.sections import comparison_table


def test_the_tuned_trial_is_chosen_by_validation_never_by_test_score():
    rows = stored(
        [
            measured("alpha", 100, "rf", 0.7, trial=0, validation_score=0.80),
            measured("alpha", 100, "rf", 0.6, trial=1, validation_score=0.82),
            measured("alpha", 100, "rf", 0.9, trial=2, validation_score=0.81),
            measured("alpha", 100, "rf", None, trial=3, failure="ValueError: no"),
        ]
    )
    (condition,) = scores.conditions(rows)
    assert condition.tuned
    assert condition.n_trials == (4, 4)
    assert condition.scores["score"].tolist() == [0.6]


def test_a_failed_fit_is_scored_as_a_majority_class_prediction():
    rows = stored([measured("alpha", 100, "rf", None, failure="no"), measured("alpha", 101, "rf", 0.8)])
    (condition,) = scores.conditions(rows)
    table = scores.per_task(condition)
    assert table.loc[("alpha", "rf"), "mean"] == pytest.approx(0.65)
    assert table.loc[("alpha", "rf"), "n_failed"] == 1


def test_regression_is_a_condition_of_its_own_scored_by_r2_and_failures_by_the_mean():
    known = {"kind": "regression", "baseline_score": -0.02, "n_train": 1000}
    rows = stored(
        [
            measured("alpha", 100, "rf", 0.7),
            measured("wage", 100, "rf", None, test_r2=0.5, **known),
            measured("wage", 100, "sparse_mlp", None, failure="ValueError: no", **known),
        ]
    )
    classification, regression = scores.conditions(rows)
    assert classification.tasks == ["alpha"]
    assert regression.scores.set_index("model")["score"].to_dict() == {"rf": 0.5, "sparse_mlp": -0.02}
    assert "R²" in condition_sections.model_table(regression, None).head
    assert "Test R², 1 seed" in condition_sections.task_table(regression, set()).caption
    (row,) = comparison_table([classification, regression], set()).rows
    assert row[0] == "Regression, 1000 training rows, default configurations"
    assert row[4:7] == ["0/0/1", "0 of 1", "-0.520 ± -"]


def test_averages_are_over_what_every_model_has():
    rows = stored(
        [
            measured("alpha", 100, "rf", 0.7),
            measured("alpha", 100, "sparse_mlp", 0.8),
            measured("beta", 100, "rf", 0.1),
        ]
    )
    (condition,) = scores.conditions(rows)
    assert scores.per_model(condition)["score"].to_dict() == {"rf": 0.7, "sparse_mlp": 0.8}


def test_the_seeds_that_every_model_has_are_counted_apart():
    rows = stored(
        [
            measured("alpha", 100, "rf", 0.7),
            measured("alpha", 101, "rf", 0.7),
            measured("alpha", 100, "sparse_mlp", 0.8),
        ]
    )
    (condition,) = scores.conditions(rows)
    assert condition.n_seeds == (2, 2)
    assert condition.n_complete_seeds == (1, 1)


def test_a_model_that_lacks_a_score_has_no_average_of_it():
    rows = [
        *(measured(task, 100, "rf", 0.9, test_log_loss=0.1) for task in ("easy", "hard")),
        measured("easy", 100, "sparse_mlp", 0.9, test_log_loss=0.01),
        measured("hard", 100, "sparse_mlp", None, failure="no", test_log_loss=None),
    ]
    (condition,) = scores.conditions(stored(rows))
    table = scores.per_model(condition)
    assert table.loc["rf", "test_log_loss"] == pytest.approx(0.1)
    assert np.isnan(table.loc["sparse_mlp", "test_log_loss"])
    assert table.loc["sparse_mlp", "score"] == pytest.approx(0.7)
