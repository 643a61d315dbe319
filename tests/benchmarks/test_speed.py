"""The speed benchmark: contenders do the same work, comparisons are interleaved, the results are written."""

import json
import sys

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.__main__ import main
from benchmarks.speed import cases, contenders, neighbour
from benchmarks.speed import command as speed
from benchmarks.speed.contenders import Problem

ON_ANY_DEVICE = [
    contenders.sparsemlp,
    contenders.sparsemlp_bf16,
    contenders.each_member(contenders.skorch_path),
    contenders.torch_loop,
    contenders.floor,
    contenders.memory_alone,
]
TINY = {"n_samples": 70, "n_features": 4, "batch_size": 16, "n_epochs": 2}


class CountedProducts(TorchDispatchMode):
    """Counts the multiplications of all matrix products."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.__name__.split(".")[0]
        if name in ("mm", "bmm", "addmm", "baddbmm", "addmm_", "baddbmm_"):
            a, b = args[-2:]
            self.total += a.numel() * b.shape[-1]
        return function(*args, **(kwargs or {}))


def products(train):
    with CountedProducts() as counted:
        train()
    return counted.total


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_floor_does_a_steps_products_and_no_more(n_members):
    problem = Problem("adamw", widths=(6, 5), n_members=n_members, **TINY)
    hidden = 2 * 4 * 6 + 3 * 6 * 5  # the input gets no gradient
    assert products(contenders.floor(problem)) == problem.n_steps * n_members * 16 * hidden


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("make", [contenders.torch_loop, contenders.skorch_path])
def test_peers_train_the_network_for_the_epochs_of_the_problem(make, optimizer):
    problem = Problem(optimizer, widths=(6,), **TINY)
    n_outputs = 1 if make is contenders.torch_loop else 2
    expected = problem.n_epochs * problem.n_samples * (2 * 4 * 6 + 3 * 6 * n_outputs)
    assert products(make(problem)) == expected


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("make", ON_ANY_DEVICE, ids=lambda make: make.__name__)
def test_contenders_run_on_a_gpu(make, n_members, optimizer, gpus):
    make(Problem(optimizer, widths=(6, 5), n_members=n_members, device="cuda", **TINY))()


def test_our_contender_and_scikit_learns_run_the_epochs_of_the_problem():
    problem = Problem("adamw", widths=(6, 5), n_members=2, **TINY)
    ours = contenders.sparsemlp(problem)()
    assert ours.n_iter_ == 2
    assert ours.net_.module_.input_layer.weight.shape == (2, 6, 4)
    assert len(contenders.each_member(contenders.sparsemlp)(problem)()) == 2
    contenders.scikit_learn(problem)()


def test_contenders_take_turns_and_the_first_round_is_not_counted(monkeypatch):
    clock = iter(np.cumsum([0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 8, 0, 6]))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    order = []
    works = {name: (lambda name=name: order.append(name)) for name in "ab"}
    assert speed.interleaved(works, repeats=3) == {"a": 3, "b": 4}
    assert order == list("abababab")


def test_what_takes_minutes_runs_once_without_warming_up(monkeypatch):
    clock = iter([0, 7, 10, 15])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    assert speed.interleaved({"a": lambda: None, "b": lambda: None}, 1, warm_up=False) == {"a": 7, "b": 5}


def test_slopes_are_the_powers_by_which_times_grow():
    def row(size, value):
        return {"grows_with": ("rows", size), "contender": "a", "value": value}

    rows = [row(100, 3.0), row(10, 3.0), row(1000, 300.0), {"grows_with": None}]
    found = [(slope["from"], slope["to"], slope["power"]) for slope in speed.slopes(rows)]
    assert found == [(10, 100, pytest.approx(0.0)), (100, 1000, pytest.approx(2.0))]


def test_a_run_writes_its_rows_machine_and_command(tmp_path, monkeypatch, capsys):
    def tiny_cases(scale, widths):
        problem = Problem("sgd", widths=(6,), **TINY)
        pair = {"sparsemlp": contenders.sparsemlp, "floor": contenders.floor}
        yield cases._per_step("tiny", problem, pair)

    monkeypatch.setattr(cases, "cases", tiny_cases)
    monkeypatch.setattr(cases, "MEMORY_SIZES", ())
    found = [
        {"what": "fit of 9 rows", "model": "mine", "alone": 2.0, "beside": 3.0},
        {"what": "prediction", "model": "mine", "failure": "took too long"},
    ]
    monkeypatch.setattr(neighbour, "beside_a_busy_process", lambda *args: found)
    threads = torch.get_num_threads()
    try:
        assert main(["speed", "--profile", "smoke", "--threads", "1", "--results", str(tmp_path)]) == 0
    finally:
        torch.set_num_threads(threads)
    written = json.loads((tmp_path / speed.FILE).read_text())
    ours, floor, alone, beside, failed, *fits = written["rows"]
    assert (failed["value"], failed["failure"]) == (None, "took too long")
    assert (alone["value"], beside["value"], beside["ratio"]) == (2.0, 3.0, 1.5)
    assert [fit["contender"] for fit in fits] == 2 * ["alone", "through the harness"]
    assert all(fit["value"] > 0 for fit in fits)
    assert (ours["contender"], ours["ratio"], floor["floor"]) == ("sparsemlp", 1.0, 1.0)
    assert ours["floor"] == pytest.approx(ours["value"] / floor["value"])
    assert written["machine"]["threads"] == 1
    printed = capsys.readouterr().out
    assert "tiny" in printed
    (line,) = [line for line in printed.splitlines() if "failed: took too long" in line]
    assert line.startswith("| prediction, mine")


@pytest.mark.parametrize("option", ["--repeats", "--threads"])
def test_bad_numbers_are_refused_in_one_line(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["speed", option, "0"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_memory_of_a_fit_covers_its_data_and_weights():
    found = cases.peak_of_fit(50_000, 20, 512)
    if found is None:
        pytest.skip("the kernel does not tell peak memory")
    assert found["floor"] == 4 * 50_000 * 21 + 5 * 4 * (512 * 22 + 1) + 4 * 256 * (20 + 1024)
    assert found["peak"] >= 4 * 50_000 * 20


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="this system does not bind processes to cores")


@on_linux
def test_models_are_timed_alone_and_beside_a_busy_process():
    found = neighbour.beside_a_busy_process(1, 100, 100, ["sparsemlp", "HistGradientBoostingClassifier"])
    assert [row["model"] for row in found] == [
        *2 * ["sparsemlp, 2 threads"],
        *2 * ["HistGradientBoostingClassifier, 1 thread"],
    ]
    assert all(row["alone"] > 0 and row["beside"] > 0 for row in found)


FAILING = """
import json, sys, time
print(json.dumps({"what": "fit", "alone": 1.0, "beside": 2.0}), flush=True)
"""


@on_linux
@pytest.mark.parametrize(
    ("end", "limit", "reason"),
    [
        ("raise MemoryError('none left')", 60.0, "MemoryError: none left"),
        ("sys.exit(3)", 60.0, "exit status 3"),
        ("time.sleep(600)", 5.0, "took more than 5 s"),
    ],
)
def test_what_cannot_be_timed_is_a_row_with_the_reason(end, limit, reason, monkeypatch):
    monkeypatch.setattr(neighbour, "SCRIPT", FAILING + end)
    monkeypatch.setattr(neighbour, "TIME_LIMIT", limit)
    fit, prediction = neighbour.beside_a_busy_process(1, 100, 100, ["MLPClassifier"])
    assert (fit["what"], fit["alone"]) == ("fit", 1.0)
    assert prediction == {"model": "MLPClassifier, 2 threads", "what": "prediction", "failure": reason}
