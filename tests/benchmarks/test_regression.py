"""The regression benchmark: paired differences, the same rows for both models, and going on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from benchmarks.__main__ import main
from benchmarks.results.finished_fits import FinishedFits
from benchmarks.tabular import regression


@pytest.fixture
def fitted(monkeypatch):
    """Quick models in place of both, and the rows that they were given."""
    seen = []

    class Recorded(LinearRegression):
        def fit(self, X, y):
            seen.append((X.shape, float(X.sum())))
            return super().fit(X, y)

    monkeypatch.setattr(regression, "_model", lambda name, seed: Recorded())
    return seen


def test_differences_are_paired_by_seed_and_losses_are_bold():
    scores = {("net", 0): 0.5, ("net", 1): 0.6, ("forest", 0): 0.7, ("forest", 1): 0.9}
    rows = pd.DataFrame(
        [
            {"data": "a", "n_rows": 100, "seed": seed, "model": model, "r2": r2}
            for (model, seed), r2 in scores.items()
        ]
    )
    (found,) = regression.compared(rows).to_dict("records")
    assert found["difference"] == pytest.approx(-0.25)
    assert found["error"] == pytest.approx(0.05)  # of -0.2 and -0.3
    assert "| 100 | a | 0.550 | 0.800 | **-0.250** (0.050) |" in regression.markdown(rows)
    won = rows.assign(r2=-rows["r2"])
    assert "| +0.250 (0.050) |" in regression.markdown(won)


@pytest.mark.parametrize("name", regression.DATA)
def test_a_seed_draws_the_same_rows_again_and_another_seed_others(name):
    draw = regression.DATA[name]
    (X, y), (again, _), (other, _) = draw(300, 0), draw(300, 0), draw(300, 1)
    assert len(X) == len(y) >= 300
    np.testing.assert_array_equal(X, again)
    assert not np.array_equal(X, other)
    assert np.isfinite(y).all()


def test_both_models_meet_the_same_rows_and_a_run_goes_on(fitted, tmp_path, capsys):
    command = ["regression", "--data", "diabetes", "pairs", "--rows", "50", "--results", str(tmp_path), "--seeds"]
    assert main([*command, "0"]) == 0
    assert [shape for shape, _ in fitted] == [(50, 10)] * 2 + [(50, 20)] * 2
    assert fitted[0] == fitted[1] != fitted[2] == fitted[3]
    fitted.clear()
    assert main([*command, "0", "1"]) == 0
    assert len(fitted) == 4
    assert (tmp_path / regression.TABLE).read_text().strip() in capsys.readouterr().out


def test_fits_of_other_code_are_done_again_and_are_not_in_the_table(fitted, tmp_path, capsys, monkeypatch):
    command = ["regression", "--data", "diabetes", "--rows", "50", "--results", str(tmp_path), "--seeds"]
    with monkeypatch.context() as earlier:
        earlier.setattr("benchmarks.results.finished_fits.package_code", lambda: "other")
        earlier.setattr(regression, "_model", lambda name, seed: DummyRegressor())
        assert main([*command, "0", "1"]) == 0
    dummies = (tmp_path / regression.TABLE).read_text()
    capsys.readouterr()
    assert main([*command, "0"]) == 0
    assert len(fitted) == 2
    assert "as other code of sparsemlp made them: 2\n" in capsys.readouterr().err
    assert main([*command, "0", "1"]) == 0
    assert "as other code of sparsemlp made them: 2\n" in capsys.readouterr().err
    assert (tmp_path / regression.TABLE).read_text() != dummies
    assert main([*command, "0", "1"]) == 0
    assert len(fitted) == 4
    assert "other code" not in capsys.readouterr().err


def test_a_size_beyond_a_data_set_is_left_out(fitted, tmp_path):
    command = ["regression", "--data", "diabetes", "--seeds", "0", "--results", str(tmp_path), "--rows"]
    assert main([*command, "1000"]) == 2
    assert main([*command, "1000", "100"]) == 0
    assert FinishedFits(tmp_path / regression.FILE, regression.KEY).rows()["n_rows"].tolist() == [100, 100]


def test_the_score_is_that_of_rows_that_were_not_trained_on(monkeypatch):
    monkeypatch.setattr(regression, "_model", lambda name, seed: DummyRegressor())
    y = regression.DATA["friedman1"](100 + regression.N_TEST, 5)[1]
    row = regression._fit("friedman1", 100, 5, "net")
    test = y[100:]
    expected = 1 - ((test - y[:100].mean()) ** 2).sum() / ((test - test.mean()) ** 2).sum()
    assert row["r2"] == pytest.approx(expected)


def test_an_unknown_data_set_is_one_line(capsys):
    assert main(["regression", "--data", "mauna"]) == 2
    assert "unknown data set 'mauna'; choose from: diabetes, " in capsys.readouterr().err
