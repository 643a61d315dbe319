"""The parity study: rows of the store, resumption after a kill, experiments, the paper's cost."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.parity import stored_runs, train
from benchmarks.parity.grids import EXPERIMENTS, PROFILES, settings_of
from benchmarks.results.database import FILE_NAME
from benchmarks.results.store import Store
from sparsemlp.frontier import Setting, success_frontier
from sparsemlp.lottery import ticket_experiment

GRID = [
    "--n-features",
    "10",
    "--n-informative",
    "2",
    "--max-steps",
    "500",
    "--sparsities",
    "2",
    "dense",
    "--rows",
    "50",
    "200",
]
RESULT = ["succeeded", "steps", "train_error", "test_error"]


def parity(folder, *options):
    return main(["parity", "--results", str(folder), *options])


def rows(folder, table=stored_runs.RUNS):
    store = Store.open(folder, create=False)
    frame = store.frame(table)
    store.close()
    return frame


def test_a_run_is_a_row_with_its_setting_and_outcome(tmp_path):
    assert parity(tmp_path, *GRID, "--widths", "20", "--runs", "3", "--loss", "squared") == 0
    found = rows(tmp_path)
    assert len(found) == 2 * 2 * 3
    assert set(found["loss"]) == {"squared"}
    direct = success_frontier(10, 2, (50, 200), 20, n_runs=3, max_steps=500, loss="squared")
    direct["sparsity"] = direct["sparsity"].fillna(0).astype(int)
    key = ["n_samples", "sparsity", "run"]
    both = found.merge(direct, on=key, suffixes=("", "_direct"))
    assert len(both) == 12
    for name in ("succeeded", "train_error", "test_error"):
        assert both[name].tolist() == both[f"{name}_direct"].tolist()
    reached = both["succeeded"].astype(bool)
    assert reached.any()
    assert (both.loc[reached, "steps"] == both.loc[reached, "steps_to_success"]).all()
    assert (both.loc[~reached, "steps"] == 500).all()


def test_lists_of_values_are_combined(tmp_path):
    options = (
        "--widths 5 --runs 1 --max-steps 1 --learning-rate 0.1 0.2 --weight-decay 0 0.01 --decay coupled uncoupled"
    )
    assert (
        parity(tmp_path, *GRID, *options.split(), "--flip-y", "0", "0.1", "--target", "parity", "staircase") == 0
    )
    found = rows(tmp_path)
    assert len(found) == 2**7
    assert not found.duplicated(list(stored_runs.RUN_KEY)).any()


def test_online_runs_have_no_training_rows_and_no_train_error(tmp_path):
    options = [
        "--n-features",
        "10",
        "--n-informative",
        "2",
        "--max-steps",
        "250",
        "--rows",
        "online",
        "40",
        "--widths",
        "5",
        "--runs",
        "1",
    ]
    assert parity(tmp_path, *options) == 0
    found = rows(tmp_path).set_index("n_samples")
    assert found.loc[0, "train_error"].isna().all()
    assert found.loc[40, "train_error"].notna().all()


def test_only_missing_runs_are_trained(tmp_path, capsys):
    parity(tmp_path, *GRID, "--widths", "20", "--runs", "2")
    before = rows(tmp_path)
    parity(tmp_path, *GRID, "--widths", "20", "30", "--runs", "3")
    assert "8 of 24 parity runs are there already" in capsys.readouterr().err
    after = rows(tmp_path)
    assert after.groupby("width").size().to_dict() == {20: 12, 30: 12}
    pd.testing.assert_frame_equal(after[after["id"] <= before["id"].max()], before)


def test_the_same_command_gives_the_same_rows(tmp_path):
    for name in ("one", "two"):
        assert parity(tmp_path / name, *GRID, "--widths", "20", "25", "--runs", "3") == 0
    key = list(stored_runs.RUN_KEY)
    one, two = (rows(tmp_path / name).sort_values(key)[[*key, *RESULT]] for name in ("one", "two"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), two.reset_index(drop=True), check_exact=True)


def test_a_killed_study_goes_on_and_counts_no_run_twice(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "parity", "--results", str(tmp_path), *GRID]
    # narrow nets end soon, the last ones would take minutes
    study = [*command, "--widths", "5", "6", "7", "2000", "--runs", "2"]
    process = subprocess.Popen([*study, "--max-steps", "8000", "--n-informative", "6"], stderr=subprocess.DEVNULL)
    path = tmp_path / FILE_NAME
    deadline = time.monotonic() + 120
    n_done = 0
    while not n_done and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        n_done = len(rows(tmp_path)) if path.exists() and path.stat().st_size else 0
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = rows(tmp_path)
    assert 0 < len(killed) < 32
    known = killed.groupby("width").size()
    assert (known % 4 == 0).all(), "a batch is there or not"

    again = [*GRID, "--widths", "5", "6", "7", "--runs", "2", "--max-steps", "8000", "--n-informative", "6"]
    assert parity(tmp_path, *again) == 0
    found = rows(tmp_path)
    assert not found.duplicated(list(stored_runs.RUN_KEY)).any()
    assert found[found["width"] < 10].groupby("width").size().to_dict() == {5: 8, 6: 8, 7: 8}
    assert parity(tmp_path / "whole", *again) == 0
    key = list(stored_runs.RUN_KEY)
    whole = rows(tmp_path / "whole").sort_values(key, ignore_index=True)
    resumed = found[found["width"] < 10].sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(resumed[[*key, *RESULT]], whole[[*key, *RESULT]], check_exact=True)


def test_an_interrupted_study_ends_at_the_next_look_and_says_how_to_go_on(tmp_path):
    study = [sys.executable, "-m", "benchmarks", "parity", "--results", str(tmp_path), *GRID]
    long = ["--widths", "20", "--runs", "2", "--max-steps", "100000000", "--n-informative", "6"]
    process = subprocess.Popen([*study, *long], stderr=subprocess.PIPE, text=True)
    path = tmp_path / FILE_NAME
    while not path.exists():
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    assert len(rows(tmp_path)) == 0


def test_curves_are_kept_where_asked_for(tmp_path):
    parity(tmp_path, *GRID, "--widths", "20", "--runs", "1", "--curves")
    for row in rows(tmp_path).itertuples():
        curve = json.loads(row.curve)
        assert [evaluation[0] for evaluation in curve] == list(range(250, row.steps + 1, 250))
        assert curve[-1][2] == row.test_error


def test_two_commands_on_one_folder_store_every_run_once(tmp_path, monkeypatch):
    grid = [*GRID, "--widths", "20", "--runs", "2"]
    look = stored_runs.missing_runs

    def looking_while_another_trains(store, settings, n_runs):
        missing = look(store, settings, n_runs)
        monkeypatch.setattr(stored_runs, "missing_runs", look)
        assert parity(tmp_path, *GRID, "--widths", "20", "--runs", "1") == 0
        return missing

    monkeypatch.setattr(stored_runs, "missing_runs", looking_while_another_trains)
    assert parity(tmp_path, *grid) == 0
    found = rows(tmp_path)
    assert len(found) == 8
    assert not found.duplicated(list(stored_runs.RUN_KEY)).any()


def test_a_store_that_gives_up_is_one_line(tmp_path, monkeypatch, capsys):
    row_of = stored_runs._run_row
    monkeypatch.setattr(stored_runs, "_run_row", lambda outcome: row_of(outcome) | {"test_error": None})
    assert parity(tmp_path, *GRID, "--widths", "20", "--runs", "1") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1
    assert said[0].startswith("python -m benchmarks parity: error: the results store gave up: NOT NULL constraint")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 3 GiB.\n(frames)"), "CUDA out of memory. Tried to"),
    ],
    ids=["numpy", "torch"],
)
def test_a_batch_that_does_not_fit_in_memory_is_one_line(tmp_path, monkeypatch, capsys, error, reason):
    def refuse(*args):
        raise error

    monkeypatch.setattr("sparsemlp.frontier._scheduling.RunBatch", refuse)
    assert parity(tmp_path, *GRID, "--widths", "20", "--runs", "1") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1
    assert f"a batch of runs could not be trained: {reason}" in said[0]


def test_curves_of_runs_that_are_stored_without_them_are_refused(tmp_path, capsys):
    grid = [*GRID, "--widths", "20"]
    parity(tmp_path, *grid, "--runs", "1")
    capsys.readouterr()
    assert parity(tmp_path, *grid, "--runs", "2", "--curves") == 2
    assert capsys.readouterr().err == (
        "python -m benchmarks parity: error: 4 of these runs are stored without errors at every evaluation; "
        "choose another --results folder\n"
    )
    assert len(rows(tmp_path)) == 4
    assert parity(tmp_path, *GRID, "--widths", "21", "--runs", "1", "--curves") == 0
    assert parity(tmp_path, *GRID, "--widths", "21", "--runs", "1", "--curves") == 0


# -- the paper's grid ------------------------------------------------------------------------------------------


def test_the_paper_profile_says_what_it_costs_and_trains_nothing_without_yes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train, "_timed", lambda setting, device: 1e-8 * setting.width * setting.n_features)
    assert parity(tmp_path / "results", "--profile", "paper") == 2
    said = capsys.readouterr()
    assert said.err == "python -m benchmarks parity: error: --profile paper is left alone without --yes\n"
    settings = settings_of(PROFILES["paper"].grid)
    hours = sum(50 * 100_000 * 1e-8 * setting.width * setting.n_features for setting in settings) / 3600
    assert f"at most {hours:,.0f} hours" in said.out
    assert "194400 runs" in said.out
    assert not (tmp_path / "results").exists()


def test_with_yes_the_cost_is_said_and_the_grid_is_trained(tmp_path, capsys):
    small = [
        "--n-features",
        "8",
        "--n-informative",
        "2",
        "--rows",
        "50",
        "--widths",
        "5",
        "--runs",
        "1",
        "--max-steps",
        "250",
    ]
    assert parity(tmp_path, "--profile", "paper", "--yes", *small) == 0
    assert "2 runs of 2 settings" in capsys.readouterr().out
    assert len(rows(tmp_path)) == 2


# -- experiments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_varies_what_its_figure_shows(name):
    experiment = EXPERIMENTS[name]
    settings = experiment.settings
    assert len(set(settings)) > 1
    fields = stored_runs.SETTING_FIELDS
    varied = {field for field in fields if len({getattr(setting, field) for setting in settings}) > 1}
    shown = {experiment.x, experiment.line, experiment.panel}
    implied = {"start": {"sparsity", "init", "init_scale", "bias_init"}, "target": {"n_informative"}}
    covered = set().union(*(implied.get(field, set()) | {field} for field in shown))
    assert varied <= covered


@pytest.mark.parametrize(
    ("experiment", "option"),
    [
        ("loss", "--profile smoke"),
        ("loss", "--max-steps 7"),
        ("slopes", "--first-seed 0"),
        ("tickets", "--runs 3"),
        ("cost", "--runs 3"),
        ("tickets", "--curves"),
        ("all", "--runs 3"),
        ("cost", "--device cpu"),
    ],
)
def test_an_option_that_an_experiment_takes_no_notice_of_is_refused(tmp_path, capsys, experiment, option):
    assert parity(tmp_path / "none", "--experiment", experiment, *option.split()) == 2
    words = f"--experiment {experiment} has settings of its own; leave out {option.split()[0]}"
    assert capsys.readouterr().err == f"python -m benchmarks parity: error: {words}\n"
    assert not (tmp_path / "none").exists()


def test_an_experiment_trains_its_cells_and_the_report_shows_it(tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    small = {"n_features": 8, "n_informative": 2, "n_samples": 60, "width": 8, "max_steps": 250}
    for name, experiment in EXPERIMENTS.items():
        grids = tuple(
            {field: grid[field] for field in grid if field not in small} | small for grid in experiment.grids
        )
        monkeypatch.setitem(EXPERIMENTS, name, replace(experiment, grids=grids, runs=2))
    monkeypatch.setattr(
        train, "TICKETS", (Setting(n_features=8, n_informative=2, n_samples=None, width=30, max_steps=500),)
    )
    monkeypatch.setattr(train, "TICKET_RUNS", 3)
    for name in ("loss", "targets", "tickets"):
        assert parity(tmp_path, "--experiment", name) == 0
    n_cells = len({setting for name in ("loss", "targets") for setting in EXPERIMENTS[name].settings})
    assert len(rows(tmp_path)) == 2 * n_cells
    tickets = rows(tmp_path, stored_runs.TICKETS)
    assert tickets.groupby("net").size().to_dict() == {"full": 3, "ticket": 3, "random re-initialisation": 3}
    assert parity(tmp_path, "--experiment", "tickets") == 0
    assert len(rows(tmp_path, stored_runs.TICKETS)) == 9

    assert main(["report", "--results", str(tmp_path)]) == 0
    text = (tmp_path / "report" / "report.md").read_text()
    for title in (EXPERIMENTS["loss"].title, EXPERIMENTS["targets"].title, "Winning tickets"):
        assert title in text
    assert EXPERIMENTS["noise"].title not in text
    for figure in ("parity-loss", "parity-targets", "parity-tickets"):
        assert (tmp_path / "report" / f"{figure}.png").exists()


def test_step_times_are_measured_on_nets_of_several_sizes_but_not_on_the_largest():
    settings = settings_of({"width": [5, 50, 500_000], "n_features": [10, 20], "max_steps": 7})
    times = train.step_seconds(settings, torch.device("cpu"), work=1000)
    assert {(setting.width, setting.n_features) for setting in times} == {(5, 10), (5, 20), (50, 10), (50, 20)}
    assert all(seconds > 0 for seconds in times.values())


@pytest.mark.parametrize("n_features", [1, 4])
def test_step_times_are_measured_for_very_few_features(n_features, monkeypatch):
    monkeypatch.setattr(train, "_timed", lambda setting, device: 1.0)
    settings = settings_of({"n_features": n_features, "n_informative": 1, "sparsity": 1})
    assert [setting.n_features for setting in train.step_seconds(settings, torch.device("cpu"))] == [n_features]


def test_tickets_are_trained_on_the_target_of_their_setting(tmp_path, monkeypatch):
    settings = (Setting(target="staircase", width=20, max_steps=250), Setting(width=20, max_steps=250))
    seen = []

    def experiment(*args, **options):
        seen.append(options["target"])
        return ticket_experiment(10, 3, *args[2:], **options | {"n_runs": 1})

    monkeypatch.setattr(train, "TICKETS", settings)
    monkeypatch.setattr(train, "ticket_experiment", experiment)
    store = Store.open(tmp_path)
    train.train_tickets(store, torch.device("cpu"))
    store.close()
    assert seen == ["staircase", "parity"]
    assert set(rows(tmp_path, stored_runs.TICKETS)["target"]) == {"staircase", "parity"}
