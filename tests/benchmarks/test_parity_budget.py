"""The budget of the parity study: the cheapest runs first, none when the hours are over, and what is left."""

from itertools import count

import pandas as pd
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.parity import budget, stored_runs
from benchmarks.parity.budget import Budget, StepTimes
from benchmarks.results.store import Store
from sparsemlp.frontier import Run, Setting

CPU = torch.device("cpu")
#: nets of 50 inputs, 10 and 100 neurons, in batches of 32 rows
TIMES = StepTimes([16_000.0, 160_000.0], [1e-5, 1e-4])
SMALL = "--n-features 10 --n-informative 2 --max-steps 500 --rows 50 200 --sparsities 2 --widths 10 5 --runs 2"


def parts(runs, hours=1.0, clock=lambda: 0.0):
    return [
        [(run.setting.width, run.setting.n_samples, run.number) for run in part]
        for part in Budget(hours, TIMES, CPU, clock).parts(runs)
    ]


def grid(widths, rows, n_runs=1):
    return [Run(Setting(n_samples=m, width=r), i) for r in widths for m in rows for i in range(n_runs)]


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def clock(monkeypatch):
    """Step times that are known, and a clock that goes an hour ahead at every look."""
    hours = count()
    monkeypatch.setattr(budget, "_timed", lambda setting, device: 1e-4 * setting.width)
    monkeypatch.setattr(budget.Budget.__init__, "__defaults__", (lambda: 3600 * next(hours),))


def rows(folder):
    store = Store.open(folder, create=False)
    frame = store.frame(stored_runs.RUNS)
    store.close()
    return frame


def test_a_run_costs_its_steps_between_the_measured_sizes_and_beyond_them():
    cost = {r: TIMES.of(Setting(width=r, max_steps=1000)) for r in (1, 10, 55, 100, 1000)}
    assert cost == pytest.approx({1: 0.01, 10: 0.01, 55: 0.055, 100: 0.1, 1000: 1.0})


def test_cheap_runs_are_first_and_of_equal_ones_those_with_the_most_rows():
    found = parts(grid([100, 10], [300, None, 1000]))
    assert found == [
        [(10, None, 0)],
        [(10, 1000, 0), (10, 300, 0)],
        [(100, None, 0)],
        [(100, 1000, 0), (100, 300, 0)],
    ]


def test_larger_batches_cost_more():
    assert TIMES.of(Setting(width=10, batch_size=320)) == TIMES.of(Setting(width=100))


def test_fewer_steps_are_cheaper_than_fewer_neurons():
    runs = [Run(Setting(width=10, max_steps=10_000), 0), Run(Setting(width=50, max_steps=100), 0)]
    assert [part[0][0] for part in parts(runs)] == [50, 10]


def test_no_part_is_handed_out_when_the_hours_are_over():
    runs = grid([10], [300], n_runs=200)
    whole = parts(runs)
    hours = iter(range(100))
    some = parts(runs, hours=3.0, clock=lambda: 3600.0 * next(hours))
    assert len(whole) > 3
    assert some == whole[:2]  # the budget began at the first look, and two more were before its end
    assert [run for part in whole for run in part] == [(10, 300, i) for i in range(200)]


def test_what_is_left_is_said_by_width_with_what_it_costs_at_most():
    runs = grid([10, 100], [300, 1000], n_runs=50)
    assert budget.left(runs, TIMES).splitlines() == [
        "200 runs are left, at most 0.31 hours by steps measured now:",
        "  width 10: 100 runs, at most 0.028 hours",
        "  width 100: 100 runs, at most 0.28 hours",
    ]
    assert budget.left([], TIMES) == "no runs are left"


def test_a_study_that_is_stopped_by_its_budget_goes_on_and_has_the_rows_of_an_undisturbed_one(
    tmp_path, capsys, clock
):
    command = ["parity", *SMALL.split()]
    assert main([*command, "--results", str(tmp_path / "parts"), "--budget", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 runs are left, at most 0.00056 hours by steps measured now:",
        "  width 10: 4 runs, at most 0.00056 hours",
    ]
    assert set(rows(tmp_path / "parts")["width"]) == {5}
    assert main([*command, "--results", str(tmp_path / "parts"), "--budget", "2"]) == 0
    assert capsys.readouterr().out == "no runs are left\n"

    assert main([*command, "--results", str(tmp_path / "whole")]) == 0
    found = [
        rows(tmp_path / name).sort_values(list(stored_runs.RUN_KEY)).drop(columns=["id", "environment"])
        for name in ("parts", "whole")
    ]
    assert len(found[0]) == 8
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in found), check_exact=True)


def test_a_budget_lets_the_papers_grid_train_without_yes(tmp_path, capsys, clock):
    command = ["parity", "--profile", "paper", *SMALL.split(), "--results", str(tmp_path), "--budget", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "8 runs of 4 settings" in said
    assert "8 runs are left" in said


@pytest.mark.parametrize("hours", ["0", "-1", "soon"])
def test_hours_are_a_number_above_zero(tmp_path, capsys, hours):
    with pytest.raises(SystemExit):
        main(["parity", "--budget", hours, "--results", str(tmp_path)])
    assert f"must be a number above 0, got '{hours}'" in capsys.readouterr().err
