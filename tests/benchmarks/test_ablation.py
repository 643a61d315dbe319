"""Ablations: differences are paired by task, size and seed, and finished fits are not done again."""

import numpy as np
import pandas as pd
import pytest
from helpers import benchmark_toys

from benchmarks.__main__ import main
from benchmarks.data import tasks
from benchmarks.results.finished_fits import FinishedFits
from benchmarks.tabular import ablation

TASK = ["--tasks", "sparse_parity", "--rows", "40", "--seeds", "0", "1"]
SMALL = 'small={"width": [8, 4], "max_epochs": 1, "n_members": 1}'


def rows_of(accuracies):
    """Rows from {(setting, task, seed): accuracy}."""
    keys = ["setting", "task", "seed"]
    rows = pd.DataFrame([dict(zip(keys, key, strict=True)) | {"a": value} for key, value in accuracies.items()])
    return rows.rename(columns={"a": "test_accuracy"}).assign(n_rows=100)


def test_differences_are_paired_by_seed():
    rows = rows_of(
        {
            ("forest", "t", 0): 0.5,
            ("forest", "t", 1): 0.9,
            ("net", "t", 0): 0.6,
            ("net", "t", 1): 0.94,
        }
    )
    (found,) = ablation.differences(rows, "forest").to_dict("records")
    assert found["difference"] == pytest.approx(7.0)
    assert found["error"] == pytest.approx(3.0)  # of 10 and 4 points


def test_a_difference_within_its_error_is_a_tie():
    found = pd.DataFrame(
        {"setting": "net", "difference": [2.0, 0.5, -1.0, -3.0], "error": [1.0, 1.0, np.nan, 2.0]}
    )
    (summary,) = ablation.summarised(found).to_dict("records")
    assert (summary["won"], summary["lost"]) == (1, 2)
    assert summary["difference"] == pytest.approx(-0.375)
    assert summary["error"] == pytest.approx(np.sqrt(1 + 1 + 0 + 4) / 4)


def test_a_run_goes_on_from_what_it_holds(tmp_path, monkeypatch, capsys):
    command = ["ablation", *TASK, "--settings", SMALL, "--results", str(tmp_path)]
    fitted = []
    model = ablation._model
    monkeypatch.setattr(ablation, "_model", lambda *args: (fitted.append(args[0]), model(*args))[1])
    assert main(command) == 0
    assert sorted(fitted) == ["defaults"] * 2 + ["forest"] * 2 + ["small"] * 2
    printed = capsys.readouterr().out
    assert "sparse_parity" in printed
    fitted.clear()
    assert main(command) == 0
    assert not fitted
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([SMALL, "--against", "best"], "--against best: not among the settings"),
        (["small={width}"], "must be NAME or NAME={JSON}"),
        (["small=5"], "must be NAME={JSON}"),
        (["forest={}"], "a name other than defaults and forest"),
        (["small", 'small={"n_members": 2}'], "the name 'small' is given twice"),
        (['typo={"widht": 5}'], "the classifier has no parameter 'widht'"),
    ],
)
def test_a_mistake_is_one_line(settings, said, tmp_path, capsys):
    try:
        status = main(["ablation", *TASK, "--results", str(tmp_path), "--settings", *settings])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_failed_fit_counts_as_chance(tmp_path, capsys):
    command = ["ablation", *TASK, "--results", str(tmp_path), "--settings", 'fails={"width": [0]}', SMALL]
    assert main(command) == 0
    assert "width=(0,) must be a positive int" in capsys.readouterr().err
    rows = FinishedFits(tmp_path / ablation.FILE, ablation.KEY).rows().set_index("setting")
    assert rows.loc["fails", "test_accuracy"].between(0.45, 0.55).all()


def test_a_results_folder_that_is_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["ablation", *TASK, "--results", str(tmp_path / "file")]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_other_parameters_under_a_known_name_are_refused(tmp_path, capsys):
    base = ["ablation", *TASK, "--results", str(tmp_path), "--settings"]
    assert main([*base, SMALL]) == 0
    assert main([*base, 'small={"n_members": 2}']) == 2
    assert "holds the setting 'small' with other parameters" in capsys.readouterr().err


def test_data_that_cannot_be_had_are_an_error_whatever_else_was_fitted(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(tasks.TASKS, "gone", tasks.Task("gone", benchmark_toys.unavailable))
    command = ["ablation", "--rows", "40", "--seeds", "0", "1", "--results", str(tmp_path), "--settings", SMALL]
    assert main([*command, "--tasks", "sparse_parity"]) == 0
    capsys.readouterr()
    assert main([*command, "--tasks", "gone"]) == 2
    assert "error: none of the tasks could be loaded" in capsys.readouterr().err
