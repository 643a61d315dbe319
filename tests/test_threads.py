"""The threads that members train in: each takes the next piece of work, and nothing that one raises is lost."""

import threading

import pytest
import torch

from sparsemlp.threads import compute_threads


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_functions", [1, 2, 7])
def test_every_function_runs_once(n_threads, n_functions):
    ran = []
    with compute_threads(n_threads) as compute:
        functions = [lambda i=i: ran.append((i, threading.current_thread().name)) for i in range(n_functions)]
        compute(compute.side_by_side, functions)
    assert sorted(i for i, _ in ran) == list(range(n_functions))
    assert all(name.startswith("sparsemlp") for _, name in ran)


def test_a_thread_that_is_held_up_leaves_the_rest_to_the_other():
    ran = []
    go_on = threading.Event()

    def held_up():
        assert go_on.wait(60)

    with compute_threads(2) as compute:
        last = [lambda: ran.append("last"), go_on.set]
        compute(compute.side_by_side, [held_up, *(lambda i=i: ran.append(i) for i in range(5)), *last])
    assert ran == [0, 1, 2, 3, 4, "last"]


@pytest.mark.parametrize("position", range(4))
def test_what_any_function_raises_is_raised(position):
    def fail():
        raise RuntimeError("on the way")

    with compute_threads(2) as compute:
        functions = [lambda: None] * 4
        functions[position] = fail
        with pytest.raises(RuntimeError, match="on the way"):
            compute(compute.side_by_side, functions)


def test_threads_flush_denormal_numbers_and_the_caller_is_left_as_it_was():
    before = torch.get_num_threads()
    denormal = torch.tensor([1e-40])
    with compute_threads(2, n_inner=1) as compute:
        assert [part.item() for part in compute.map([lambda: denormal * 0.5] * 2)] == [0, 0]
        assert compute(torch.get_num_threads) == 1
    assert torch.get_num_threads() == before
    assert (denormal * 0.5).item() > 0
