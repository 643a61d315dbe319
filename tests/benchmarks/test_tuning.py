"""Tuning: what a resumed study draws, when a trial is given up, and how training sets are validated."""

import numpy as np
import pytest
from helpers.benchmark_toys import Nearest, competitor, toy_data

from benchmarks.data.splits import Size
from benchmarks.data.tasks import Task
from benchmarks.tabular.evaluate import Evaluator, Work
from benchmarks.tabular.plan import Evaluation, Study
from benchmarks.tabular.tuning import FEW_ROWS, MANY_ROWS, Tuning, scheme, validate

UNPRUNED = {"fold_scores": [], "pruned": False}


def test_a_study_that_goes_on_from_stored_trials_draws_as_if_undisturbed():
    def score(trial):
        return -abs(np.log(trial.params["scale"]) - 1)

    model = competitor("nearest", Nearest)
    whole, drawn = Tuning(model, ("toy", 100), 100, 4), []
    for number in range(14):  # more than the sampler's random start
        trial, _ = whole.ask(number)
        failed = number == 3
        whole.tell(trial, None if failed else score(trial))
        drawn.append(
            {"suggestions": trial.params, "validation_score": None if failed else score(trial), **UNPRUNED}
        )
    resumed = Tuning(model, ("toy", 100), 100, 4)
    for stored in drawn[:12]:
        resumed.replay(stored)
    for number in (12, 13):
        trial, _ = resumed.ask(number)
        assert trial.params == drawn[number]["suggestions"]
        resumed.tell(trial, drawn[number]["validation_score"])
    other, _ = Tuning(model, ("toy", 101), 100, 4).ask(1)
    assert other.params != drawn[1]["suggestions"]


def test_a_trial_replays_the_earlier_ones_once_and_finds_the_same_where_it_was_not_described(monkeypatch):
    replayed = []
    replay = Tuning.replay
    monkeypatch.setattr(Tuning, "replay", lambda self, row: (replayed.append(row), replay(self, row)))
    evaluator, earlier = Evaluator(), []
    for number in range(3):
        evaluation = Evaluation(Study("toy", Size.rows(60), 100, "nearest"), number)
        work = Work(evaluation, Task("toy", toy_data), competitor("nearest", Nearest), list(earlier))
        earlier.append(evaluator.describe(work)[1] | evaluator.evaluate(work))
    assert len(replayed) == 0 + 1 + 2
    again = evaluator.evaluate(work)
    assert len(replayed) == 0 + 1 + 2 + 2
    assert again["fold_scores"] == earlier[2]["fold_scores"]
    assert again["test_log_loss"] == earlier[2]["test_log_loss"]


# Pruning ---------------------------------------------------------------------------------------------


def tuning_with_a_best_trial(fold_scores):
    tuning = Tuning(competitor("nearest", Nearest), ("toy", 100), 100, 4)
    trial, _ = tuning.ask(0)
    for step, score in enumerate(fold_scores):
        tuning.should_prune(trial, step, score)
    tuning.tell(trial, float(np.mean(fold_scores)))
    return tuning


@pytest.mark.parametrize(
    ("scores", "pruned_at"),
    [
        ([0.70, 0.71, 0.72, 0.70, 0.71], 2),  # clearly worse: as soon as three folds say so
        ([0.80, 0.81, 0.79, 0.80, 0.81], None),  # the same
        ([0.95, 0.60, 0.90, 0.65, 0.80], None),  # worse on the whole, but not by more than chance
        ([0.90, 0.91, 0.92, 0.90, 0.91], None),  # better
        ([0.78, 0.79, 0.77, 0.78, 0.79], 2),  # the same lag on every fold: no doubt about it
    ],
)
def test_a_trial_is_given_up_when_it_is_surely_worse_on_the_same_folds(scores, pruned_at):
    tuning = tuning_with_a_best_trial([0.80, 0.81, 0.79, 0.80, 0.81])
    trial, _ = tuning.ask(1)
    steps = [step for step, score in enumerate(scores) if tuning.should_prune(trial, step, score)]
    assert (steps[0] if steps else None) == pruned_at


def test_the_first_trial_is_never_given_up():
    tuning = Tuning(competitor("nearest", Nearest), ("toy", 100), 100, 4)
    trial, _ = tuning.ask(0)
    assert not any(tuning.should_prune(trial, step, 0.1) for step in range(5))


# Validation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "name", "n_folds"),
    [
        (100, "3 x 5-fold", 15),
        (FEW_ROWS, "3 x 5-fold", 15),
        (FEW_ROWS + 2, "5-fold", 5),
        (MANY_ROWS - 2, "5-fold", 5),
        (MANY_ROWS, "holdout 25%", 1),
    ],
)
def test_few_rows_are_validated_repeatedly_and_many_by_a_holdout(n_rows, name, n_folds):
    y = np.arange(n_rows) % 2
    found = scheme(y, seed=100)
    folds = list(found.folds())
    assert (found.name, len(folds), found.n_folds) == (name, n_folds, n_folds)
    for train, held_out in folds:
        assert not set(train) & set(held_out)
        assert len(train) + len(held_out) == n_rows
        assert abs(y[held_out].mean() - 0.5) < 0.05


def test_a_class_with_two_rows_is_in_both_halves_of_every_fold():
    y = np.array([0] * 8 + [1] * 2)
    found = scheme(y, seed=100)
    assert found.name == "3 x 2-fold"
    assert all({0, 1} == set(y[train]) == set(y[held_out]) for train, held_out in found.folds())


def test_the_folds_depend_on_the_seed_alone():
    y = np.arange(100) % 2
    first, again, other = (list(scheme(y, seed).folds()) for seed in (100, 100, 101))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_a_trial_that_is_given_up_has_the_folds_so_far_and_no_score():
    data = toy_data()
    found = validate(Nearest, data.X, data.y, 100, lambda step, score: step == 2)
    assert found.pruned
    assert len(found.fold_scores) == 3
    assert found.score is None
    whole = validate(Nearest, data.X, data.y, 100)
    assert whole.fold_scores[:3] == found.fold_scores
    assert whole.score == np.mean(whole.fold_scores)


def test_the_last_fold_is_never_a_reason_to_give_up():
    data = toy_data()
    found = validate(Nearest, data.X, data.y, 100, lambda step, score: step == 4)
    assert not found.pruned
    assert len(found.fold_scores) == 5
