"""Finished fits in a file of JSON lines: types, killed processes, other columns, other code."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.results.finished_fits import FinishedFits
from benchmarks.results.jsonl import JsonLines

KEY = ["task", "seed"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fits.jsonl"


def wanted(tasks, seeds):
    return pd.MultiIndex.from_product([tasks, seeds], names=KEY)


def test_types_survive(path):
    row = {
        "task": "NA",
        "seed": 1,
        "name": "007",
        "score": 1 / 3,
        "long": 2**62,
        "failure": None,
        "loss": math.nan,
    }
    FinishedFits(path, KEY).add(row)
    other = row | {
        "seed": np.int64(2),
        "score": np.float32(0.5),
        "failure": "ValueError: ü, \u2028\n",
        "loss": np.inf,
    }
    FinishedFits(path, KEY).add(other)
    first, second = FinishedFits(path, KEY).rows().to_dict("records")
    assert [first[name] for name in ("task", "seed", "name", "score", "long")] == ["NA", 1, "007", 1 / 3, 2**62]
    assert isinstance(first["seed"], int)
    assert all(isinstance(first[name], float) and math.isnan(first[name]) for name in ("failure", "loss"))
    assert second == other


def test_half_a_line_of_a_killed_process_is_done_again(path):
    fits = FinishedFits(path, KEY)
    keys = wanted(["a"], [0, 1])
    for seed in (0, 1):
        fits.add({"task": "a", "seed": seed, "score": 0.5})
    path.write_bytes(path.read_bytes()[:-7])
    assert list(fits.missing(keys)) == [("a", 1)]
    fits.add({"task": "a", "seed": 1, "score": 0.7})
    assert list(fits.missing(keys)) == []
    assert fits.chosen(keys)["score"].tolist() == [0.5, 0.7]


def test_columns_go_by_name_and_those_that_a_fit_lacks_are_nan(path):
    fits = FinishedFits(path, KEY)
    fits.add({"task": "a", "seed": 0, "score": 0.5, "seconds": 3.0})
    fits.add({"seconds": 4.0, "rank": 2, "seed": 1, "task": "a"})
    rows = fits.rows().set_index("seed")
    assert rows["seconds"].tolist() == [3.0, 4.0]
    assert rows["score"].isna().tolist() == [False, True]
    assert rows["rank"].isna().tolist() == [True, False]


def test_fits_of_other_code_do_not_stand_for_present_ones(path, monkeypatch, capsys):
    fits = FinishedFits(path, KEY)
    with monkeypatch.context() as earlier:
        earlier.setattr("benchmarks.results.finished_fits.package_code", lambda: "other")
        for seed in (0, 1, 2):
            fits.add({"task": "a", "seed": seed, "score": 0.1})
    JsonLines(path).append({"task": "a", "seed": 4, "score": 0.1})  # of code that left no fingerprint
    assert fits.rows().empty
    fits.add({"task": "a", "seed": 1, "score": 0.9})
    assert list(fits.missing(wanted(["a"], [0, 1, 3, 4]))) == [("a", 0), ("a", 3), ("a", 4)]
    assert capsys.readouterr().err == "finished fits done again, as other code of sparsemlp made them: 2\n"
    assert fits.chosen(wanted(["a"], [0, 1])).to_dict("records") == [{"task": "a", "seed": 1, "score": 0.9}]


def test_a_fit_that_was_done_twice_is_there_once(path, capsys):
    fits = FinishedFits(path, KEY)
    assert list(fits.missing(wanted(["b", "a"], [0]))) == [("b", 0), ("a", 0)]
    for score in (0.1, 0.2):
        fits.add({"task": "a", "seed": 0, "score": score})
    assert fits.chosen(wanted(["a"], [0]))["score"].tolist() == [0.2]
    assert list(fits.missing(wanted(["b", "a"], [0]))) == [("b", 0)]
    assert capsys.readouterr().err == ""


def test_what_json_does_not_hold_is_refused_and_leaves_no_half_line(path):
    with pytest.raises(TypeError, match="got <object object"):
        JsonLines(path).append({"x": object()})
    assert JsonLines(path).read() == []
