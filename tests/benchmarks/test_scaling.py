"""The command scaling-laws: what it stores, that it goes on, and the frontier it draws."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks.__main__ import main
from benchmarks.data.table import DataUnavailableError
from benchmarks.environment import CODE, package_code
from benchmarks.report.document import Picture, Section
from benchmarks.scaling import command as scaling_laws
from benchmarks.scaling import compute, solvable
from benchmarks.scaling.experiment import Experiment
from benchmarks.scaling.finished_settings import FILE, FinishedSettings

CALLS = []


def run_toy(setting):
    CALLS.append(setting["x"])
    if setting["x"] == 3 and len(CALLS) < 4:
        raise KeyboardInterrupt
    return [{"y": setting["x"] ** 2}]


def toy_section(rows):
    return Section("A toy", [f"sum {rows['y'].sum()}"], figures=[Picture("toy", "A toy.", Figure())])


TOY = Experiment("A toy", lambda profile: [{"x": x} for x in (1, 2, 3)], run_toy, toy_section)


def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch, capsys):
    CALLS.clear()
    monkeypatch.setattr(scaling_laws, "experiments", lambda: {"model": TOY})
    command = ["scaling-laws", "--experiment", "model", "--results", str(tmp_path)]
    assert main(command) == 130
    assert main(command) == 0
    assert CALLS == [1, 2, 3, 3]
    assert "2 of 3 settings are there already" in capsys.readouterr().err
    report = (tmp_path / "scaling-laws" / "report.md").read_text()
    assert "sum 14" in report
    assert "python -m benchmarks scaling-laws --experiment model" in report
    assert str(tmp_path) not in report
    assert pd.read_csv(tmp_path / "scaling-laws" / "model.csv").to_dict("list") == {"x": [1, 2, 3], "y": [1, 4, 9]}
    assert {path.suffix for path in (tmp_path / "scaling-laws").glob("toy.*")} == {".png"}


def test_half_a_line_of_a_killed_process_is_done_again(tmp_path):
    store = FinishedSettings(tmp_path)
    settings = [{"x": 1}, {"x": 2}]
    store.add("model", settings[0], [{"y": 1.0}], 0.5)
    with (tmp_path / FILE).open("a") as file:
        file.write(json.dumps({"experiment": "model", "setting": settings[1]})[:-5])
    assert store.missing("model", settings) == settings[1:]
    store.add("model", settings[1], [{"y": 4.0}], 0.5)
    assert store.missing("model", settings) == []
    assert store.missing("compute", settings) == settings
    assert store.rows("model", settings).to_dict("list") == {"x": [1, 2], "y": [1.0, 4.0]}
    assert store.seconds("model", settings) == 1.0


def run_gone(setting):
    raise DataUnavailableError("gone (OpenML task 0) cannot be had")


def test_where_no_data_can_be_had_and_nothing_is_there_the_status_is_1_and_there_is_no_report(
    tmp_path, monkeypatch, capsys
):
    gone = TOY._replace(compute=run_gone)
    monkeypatch.setattr(scaling_laws, "experiments", lambda: {"model": TOY, "tables": gone})
    command = ["scaling-laws", "--results", str(tmp_path), "--experiment"]
    assert main([*command, "tables"]) == 1
    error = capsys.readouterr().err
    assert "gone (OpenML task 0) cannot be had" in error
    assert "no setting could be computed, and none is there: no report was written" in error
    assert not (tmp_path / "scaling-laws").exists()
    CALLS[:] = [0] * 4  # the toy is not interrupted
    assert main([*command, "all"]) == 0
    assert main([*command, "tables"]) == 0  # the report has what an earlier run has finished
    assert "sum 14" in (tmp_path / "scaling-laws" / "report.md").read_text()


def test_the_report_names_the_code_that_cells_come_from_where_it_is_another(tmp_path, monkeypatch):
    CALLS[:] = [0] * 4
    monkeypatch.setattr(scaling_laws, "experiments", lambda: {"model": TOY})
    command = ["scaling-laws", "--results", str(tmp_path)]
    assert main(command) == 0
    report = tmp_path / "scaling-laws" / "report.md"
    assert "other code" not in report.read_text()
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [line.pop(CODE) for line in lines] == [package_code()] * 3
    lines[1][CODE] = "0123456789ab"
    lines[2][CODE] = package_code()
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(command) == 0
    assert "of other code of sparsemlp than the versions below say: 0123456789ab, unknown." in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--experiment", "none"], "invalid choice"), (["--profile", "huge"], "invalid choice")],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["scaling-laws", *arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_cells_are_json_and_all_different():
    for experiment in scaling_laws.experiments().values():
        for profile in ("smoke", "quick", "full"):
            settings = experiment.settings(profile)
            keys = [json.dumps(setting, sort_keys=True) for setting in settings]
            assert len(set(keys)) == len(keys)
            assert [json.loads(key) for key in keys] == settings


def test_a_cell_gives_the_same_rows_every_time():
    parts = {setting["part"]: setting for setting in solvable.EXPERIMENT.settings("smoke")}
    small = {"width": 8, "n_samples": 8, "n_steps": 20, "n_instances": 2, "curves": False}
    for setting in parts.values():
        setting = setting | {name: value for name, value in small.items() if name in setting}
        assert solvable.compute(setting) == solvable.compute(setting)


def curves(time_power, width_power, n_instances=3, scatter=0.0):
    """Losses t^-a + N^-b over a fine grid of widths, times a factor of each draw."""
    rng = np.random.default_rng(0)
    factors = np.exp(scatter * rng.standard_normal(n_instances))
    return pd.DataFrame(
        [
            {"width": float(n), "instance": i, "time": t, "loss": f * (t**-time_power + n**-width_power)}
            for n in np.geomspace(8, 2048, 33)
            for i, f in enumerate(factors)
            for t in np.geomspace(0.1, 1e6, 113)
        ]
    )


def test_the_frontier_of_two_bottlenecks_has_the_exponents_of_theory():
    a, b = 0.5, 0.75
    found = compute.frontier(curves(a, b))
    exponents = [
        compute.fit(found.compute, values, x_min=found.compute[-1] / 100).exponent
        for values in (found.loss, found.width, found.time)
    ]
    assert exponents == pytest.approx([-a * b / (a + b), a / (a + b), b / (a + b)], abs=0.01)


def test_the_interval_of_a_frontier_is_a_jackknife_over_draws():
    found = compute.frontier(curves(0.5, 0.75, n_instances=6, scatter=0.3))
    law = compute.fit(found.compute, found.loss)
    u = np.log(found.compute)
    slopes = np.array([np.polyfit(u, np.log(curve), 1)[0] for curve in found.loss])
    pseudo = 6 * slopes[0] - 5 * slopes[1:]
    assert law.exponent == pytest.approx(pseudo.mean())
    assert law.high - law.low >= 2 * 2.5706 * pseudo.std(ddof=1) / np.sqrt(6) * 0.999
