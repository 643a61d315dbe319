"""The experiments that the frontier cannot train: their batches, their rows, and going on after a stop."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.parity import nets, nets_figures

SUPPORT = torch.tensor([[0, 3, 7], [1, 2, 4]])


def test_fresh_batches_have_the_parity_of_each_member_as_target():
    next_batch = nets._fresh_rows(SUPPORT, torch.Generator().manual_seed(0))
    x, target = next_batch()
    assert x.shape == (2, nets.BATCH, nets.N_FEATURES)
    for member, support in enumerate(SUPPORT):
        assert torch.equal(target[member, :, 0], x[member][:, support].prod(dim=1))
    assert not torch.equal(next_batch()[0], x)


def test_passes_take_every_row_once_before_any_comes_again_in_an_order_of_each_member():
    rows = torch.arange(2 * 3 * nets.BATCH).view(2, -1, 1).float()
    next_batch = nets._passes(rows, -rows, torch.Generator().manual_seed(0))
    batches = [next_batch() for _ in range(6)]
    assert all(torch.equal(x, -target) for x, target in batches)
    first, second = (torch.cat([x for x, _ in batches[i : i + 3]], dim=1) for i in (0, 3))
    for one in (first, second):
        assert torch.equal(one.sort(dim=1).values, rows)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1] - len(rows[0]))


def test_runs_of_a_depth_say_when_they_succeeded(monkeypatch):
    monkeypatch.setattr(nets, "N_FEATURES", 8)
    monkeypatch.setattr(nets, "N_INFORMATIVE", 2)
    monkeypatch.setattr(nets, "N_RUNS", 3)
    monkeypatch.setattr(nets, "DEPTH_STEPS", 1000)
    learned = nets.train_depths({"depth": 2, "sparsity": 2, "n_samples": 0})
    assert [row["succeeded"] for row in learned] == [1, 1, 1]
    assert all(row["steps"] in (250, 500, 750, 1000) for row in learned)
    monkeypatch.setattr(nets, "N_INFORMATIVE", 6)
    hopeless = nets.train_depths({"depth": 1, "sparsity": 0, "n_samples": 40})
    assert {(row["succeeded"], row["steps"]) for row in hopeless} == {(0, 1000)}


@pytest.mark.parametrize("sampling", ["uniform", "trees"])
def test_a_net_from_trees_has_the_error_on_new_rows(monkeypatch, sampling):
    monkeypatch.setattr(nets, "TREE_STEPS", 2000)
    setting = {"target": "staircase", "n_samples": 3000, "sampling": sampling, "run": 0}
    (row,) = nets.train_from_trees(setting)
    assert row["test_error"] < 0.1


def test_a_stopped_experiment_goes_on_and_writes_every_row_once(tmp_path, monkeypatch):
    settings = [{"depth": d, "sparsity": s, "n_samples": m} for d in (1, 2) for s in (2, 0) for m in (0, 1000)]
    trained = []

    def compute(setting):
        trained.append(setting)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return [{"run": run, "succeeded": run, "steps": 250} for run in (0, 1)]

    experiment = replace(nets.EXPERIMENTS["depth"], settings=lambda: settings, compute=compute)
    monkeypatch.setitem(nets.EXPERIMENTS, "depth", experiment)
    with pytest.raises(KeyboardInterrupt):
        nets.run("depth", tmp_path)
    found = nets.run("depth", tmp_path)
    assert trained == [*settings[:3], *settings[2:]]
    assert len(found) == 2 * len(settings)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "nets-depth.csv"), found)
    assert (tmp_path / "nets-depth.png").exists()


def test_the_figure_of_tables_has_a_panel_for_each_size_and_depth_and_a_line_for_each_sparsity():
    settings = [s for s in nets.table_settings() if s["task"] in nets.OPENML_NAMES[:3]]
    rows = pd.DataFrame(settings).assign(accuracy=np.linspace(0.5, 0.9, len(settings)))
    figure = nets_figures.tables(rows)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        f"{m} rows, {d} hidden layer{'' if d == 1 else 's'}" for m in nets.TABLE_STEPS for d in (1, 2, 3)
    ]
    assert all(len(axes.containers) == 4 for axes in figure.axes)


def test_the_figure_of_trees_has_the_share_of_nets_that_learned():
    rows = pd.DataFrame(nets.tree_settings())
    figure = nets_figures.trees(rows.assign(test_error=np.where(rows["sampling"] == "trees", 0.05, 0.3)))
    for axes in figure.axes:
        assert [list(line.get_ydata()) for line in axes.lines] == [[0, 0, 0], [1, 1, 1]]


def test_the_grid_of_tables_is_whole_and_starts_with_the_narrow_nets():
    settings = nets.table_settings()
    assert len(settings) == 16 * 2 * 3 * 3 * 4
    widths = [setting["width"] for setting in settings]
    assert widths == sorted(widths)


def test_differences_on_tables_are_from_the_net_of_reference_on_the_same_table():
    rows = pd.DataFrame(
        [
            {"task": task, "sparsity": s, "width": r, "depth": 2, "accuracy": base + 0.01 * s + r / 1e5}
            for task, base in (("a", 0.6), ("b", 0.8))
            for s in (2, 4)
            for r in (128, 512)
        ]
    )
    found = nets_figures.from_reference(rows)
    assert np.allclose(found.loc[(2, 512, 2)], 0)
    assert np.allclose(found.loc[(4, 128, 2)], [2 - 0.384] * 2)
