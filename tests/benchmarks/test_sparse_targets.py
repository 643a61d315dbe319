"""The panel of sparse targets: every target has its own rows, and the table says who is best and by how much."""

import pandas as pd
import pytest
from helpers.benchmark_toys import evaluation, words
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

from benchmarks import models
from benchmarks.__main__ import main
from benchmarks.data.tasks import PANEL
from benchmarks.report.document import Best
from benchmarks.results.store import Store
from benchmarks.tabular import presets, sections, target_sections

ESTIMATORS = {"sparse_mlp": GaussianNB, "rf": DummyClassifier}


@pytest.fixture
def quick(monkeypatch, workers_in_threads):
    """Quick classifiers in place of net and forest, which are all models of the panel."""
    for name, estimator in ESTIMATORS.items():

        def build(seed, n_samples, n_features, estimator=estimator):
            return Pipeline([("model", estimator())])

        monkeypatch.setitem(models.MODELS, name, models.Model(name, name, build, dict, dict))
    monkeypatch.setattr(presets, "PANEL_MODELS", list(ESTIMATORS))


def evaluations(folder):
    store = Store.open(folder, create=False)
    rows = store.frame("evaluations")
    store.close()
    return rows


def rows_of(scores):
    """Untuned evaluations from {(model, task, seed): accuracy}, at the panel's rows."""
    rows = [
        evaluation(model=model, task=task, seed=seed, test_accuracy=score, size=f"rows:{PANEL[task]}")
        | {"n_train": PANEL[task], "kind": "classification", "failure": None}
        for (model, task, seed), score in scores.items()
    ]
    return pd.DataFrame(rows).assign(id=range(len(rows)), test_r2=float("nan"))


TWO = rows_of(
    {
        **{("sparse_mlp", "box-50-2", 0): 0.90, ("sparse_mlp", "box-50-2", 1): 0.92},
        **{("rf", "box-50-2", 0): 0.70, ("rf", "box-50-2", 1): 0.80},
        **{("hgb", "box-50-2", 0): 0.91, ("hgb", "box-50-2", 1): 0.97},
        **{("sparse_mlp", "parity-50-2", 0): 1.0, ("sparse_mlp", "parity-50-2", 1): 1.0},
        **{("rf", "parity-50-2", 0): 0.5, ("rf", "parity-50-2", 1): 0.6},
    }
)


def test_one_command_evaluates_every_target_at_its_own_rows_and_goes_on(quick, tmp_path, capsys):
    command = ["sparse-targets", "--seeds", "1", "--results", str(tmp_path)]
    assert main(command) == 0
    rows = evaluations(tmp_path)
    assert rows["failure"].isna().all(), rows["failure"].tolist()
    assert len(rows) == len(PANEL) * len(ESTIMATORS)
    assert dict(zip(rows["task"], rows["n_train"], strict=True)) == PANEL
    assert set(rows["seed"]) == {100}
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines()[4:] if line.startswith("|")] == list(PANEL)
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out == printed
    assert "16 of 16 evaluations are there already" in captured.err


def test_parts_of_the_panel_are_chosen_by_name(quick, tmp_path):
    command = words("sparse-targets --tasks box-50-2 parity-50-2 --models rf --seeds 2 --first-seed 0 --results")
    assert main([*command, str(tmp_path)]) == 0
    rows = evaluations(tmp_path)
    assert set(zip(rows["task"], rows["model"], rows["seed"], strict=True)) == {
        (task, "rf", seed) for task in ("box-50-2", "parity-50-2") for seed in (0, 1)
    }


def test_a_target_outside_the_panel_has_no_rows_and_is_refused(capsys):
    assert main(["sparse-targets", "--tasks", "box-50-3"]) == 2
    assert "unknown sparse target 'box-50-3'; choose from: sum-1000-1, " in capsys.readouterr().err


def test_the_table_has_a_row_per_target_and_its_best_mean_is_bold():
    table = target_sections.table(TWO)
    parity, box = table.rows
    assert parity == ["parity-50-2", "1000", "2", "100.0 ± 0.0", "55.0 ± 5.0", "-"]
    assert box == ["box-50-2", "500", "2", "91.0 ± 1.0", "75.0 ± 5.0", "94.0 ± 3.0"]
    assert [isinstance(cell, Best) for cell in parity + box] == [*[False] * 3, True, *[False] * 7, True]


def test_the_distance_from_the_best_model_is_paired_by_seed():
    (text,) = target_sections.behind(TWO)
    assert "box-50-2 (500 rows) by 3.0 ± 2.0 (Boosted trees)." in text, "of 1 and 5 points"
    assert text.endswith("not behind any model: parity-50-2 (1000 rows).")
    assert "on 1 of 2 targets" in target_sections.headlines(TWO)[0]


def test_a_report_has_sparse_targets_apart_from_tables(quick, tmp_path):
    tables = "tabular --tasks wine --rows 500 --models rf --seeds 1"
    for command in ("sparse-targets --tasks box-50-2 --seeds 2", tables):
        assert main([*words(command), "--results", str(tmp_path)]) == 0
    store = Store.open(tmp_path, create=False)
    found = {section.title: section for section in sections.sections(store, tmp_path)}
    store.close()
    targets = found["Sparse targets, default configurations"]
    assert [picture.name for picture in targets.figures] == ["sparse-targets"]
    assert "box-50-2" not in found["500 training rows, default configurations"].tables[1].markdown()


def test_parities_alone_are_no_panel():
    assert target_sections.sections(TWO[TWO["task"] == "parity-50-2"]) == []
