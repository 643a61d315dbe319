"""The stand-in for CUDA refuses what a GPU refuses; the tests of GPUs are worth as much as it is."""

import copy
import gc
import threading
from functools import partial

import pytest
import torch
from helpers import cuda_stand_in

pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which needs no stand-in"),
    pytest.mark.usefixtures("gpus"),
]


def on_gpu(*shape, device="cuda"):
    return torch.arange(1.0, 1 + torch.Size(shape).numel(), device=device).view(shape)


def captured(work):
    gc.collect()  # a capture does not survive the end of another test's graph
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = work()
    return graph, made


MIXTURES = {
    "a product": lambda x: x @ torch.ones(2, 2),
    "a sum": lambda x: x + torch.ones(2),
    "an output": lambda x: torch.mul(x, 2, out=torch.empty(2, 2)),
    "another GPU": lambda x: x * on_gpu(2, 2, device="cuda:1"),
    "rows by index": lambda x: x.index_select(0, torch.tensor([0])),
    "rows of the host": lambda x: torch.ones(2, 2)[torch.tensor([0], device="cuda")],
    "all at once": lambda x: torch._foreach_add_([x], [torch.ones(2, 2)]),
}


@pytest.mark.parametrize("mix", MIXTURES.values(), ids=MIXTURES)
def test_operands_must_be_on_one_device(mix):
    with pytest.raises(RuntimeError, match=r"same device.*(cpu|cuda:1)"):
        mix(on_gpu(2, 2))


def test_numbers_of_the_host_and_indices_of_the_host_are_welcome():
    x = on_gpu(2, 2)
    assert (x * torch.tensor(2.0)).tolist() == [[2, 4], [6, 8]]
    assert x[torch.tensor([1])].tolist() == [[3, 4]]


def test_a_gpus_values_are_no_numpy_array():
    with pytest.raises(TypeError, match=r"cuda:0 device type tensor to numpy. Use Tensor.cpu\(\)"):
        on_gpu(2).numpy()
    assert on_gpu(2).cpu().numpy().tolist() == [1, 2]


@pytest.mark.parametrize(("generator", "device"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_generators_are_of_the_device_that_they_draw_on(generator, device):
    with pytest.raises(
        RuntimeError, match=f"Expected a '{device}' device type for generator but found '{generator}'"
    ):
        torch.randperm(5, generator=torch.Generator(generator), device=device)


def test_tensors_are_where_they_were_asked_for():
    made = [torch.empty(2, device="cuda"), torch.tensor([1.0], device="cuda"), torch.ones(2).to("cuda")]
    made += [made[0].new_zeros(3), torch.empty_like(made[0]), made[0].view(1, 2), copy.deepcopy(made[0])]
    assert all(tensor.is_cuda and tensor.device == torch.device("cuda:0") for tensor in made)
    assert on_gpu(2, device="cuda:1").device == torch.device("cuda:1")
    with torch.cuda.device(1):
        assert torch.empty(2, device="cuda").device.index == 1
    assert not torch.empty(2).is_cuda
    in_thread = []
    thread = threading.Thread(target=lambda: in_thread.append(torch.empty(2, device="cuda")))
    thread.start()
    thread.join()
    assert in_thread[0].is_cuda


def test_gradients_are_where_their_parameters_are():
    linear = torch.nn.Linear(3, 2)
    weight = linear.weight
    linear.to("cuda")
    assert linear.weight is weight  # as on CUDA, where optimizers may know it already
    x = on_gpu(4, 3)
    linear(x).square().sum().backward()
    expected = 2 * (x.cpu() @ weight.detach().cpu().T + linear.bias.detach().cpu()).T @ x.cpu()
    assert weight.grad.is_cuda
    torch.testing.assert_close(weight.grad.cpu(), expected)


def test_a_graph_records_without_running_and_replays_on_the_same_memory(gpus):
    x, total = on_gpu(2), torch.zeros(2, device="cuda")
    graph, doubled = captured(lambda: (total.add_(x), 2 * x)[1])
    assert total.tolist() == [0, 0]
    assert gpus.n_made_in_graphs == 1
    graph.replay()
    x.fill_(10)
    graph.replay()
    assert total.tolist() == [11, 12]
    assert doubled.tolist() == [20, 20]


def test_a_graph_holds_numbers_by_value_and_tensors_by_address():
    rates = {"number": 1.0, "tensor": torch.ones((), device="cuda")}
    by_value, by_address = torch.zeros(2, device="cuda"), torch.zeros(2, device="cuda")
    graph, _ = captured(lambda: (by_value.add_(rates["number"]), by_address.add_(rates["tensor"])))
    rates["number"] = 5.0
    rates["tensor"].fill_(5)
    graph.replay()
    assert (by_value.tolist(), by_address.tolist()) == ([1, 1], [5, 5])


FORBIDDEN = {
    "a number": lambda x: x.sum().item(),
    "a decision": lambda x: bool((x > 0).all()),
    "a copy to the host": lambda x: x.cpu(),
    "a copy from the host": lambda x: x.copy_(torch.ones(2)),
    "indices of the host": lambda x: x[torch.tensor([0])],
    "a mask": lambda x: x[x > 1],
    "positions": lambda x: torch.where(x > 1),
    "synchronize": lambda x: torch.cuda.synchronize(),
}


@pytest.mark.parametrize("work", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_waits_for_the_device_or_the_host_cannot_be_captured(work, gpus):
    x = on_gpu(2)
    before = gpus.n_waits
    work(x)
    assert gpus.n_waits == before + 1
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        captured(lambda: work(x))
    work(x)  # the capture is over


def test_a_capture_does_not_survive_an_emptied_cache_or_the_end_of_another_graph():
    x = on_gpu(2)
    with pytest.raises(RuntimeError, match=r"not permitted when stream is capturing: torch\.cuda\.empty_cache"):
        captured(torch.cuda.empty_cache)
    graphs = [captured(partial(torch.mul, x, 2))]
    with pytest.raises(RuntimeError, match="due to a previous error during capture"):
        captured(graphs.clear)


def test_graphs_are_not_replayed_while_another_is_captured():
    x = on_gpu(2)
    graph, _ = captured(partial(torch.mul, x, 2))
    with pytest.raises(RuntimeError, match="Offset increment outside graph capture"):
        captured(graph.replay)


def test_a_capture_takes_no_memory_from_the_cache():
    x, out = on_gpu(2, 2), torch.empty(2, 2, device="cuda")

    def capture():
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(torch.cuda.Stream()):
            graph.capture_begin()
            try:
                torch.mm(x, x, out=out)  # for which a library takes a workspace
            finally:
                graph.capture_end()

    cached = torch.empty(int(0.999 * cuda_stand_in.TOTAL_MEMORY), dtype=torch.uint8, device="cuda")
    del cached
    with pytest.raises(torch.OutOfMemoryError):
        capture()
    torch.cuda.empty_cache()
    capture()


def test_a_stream_waits_for_what_another_has_written():
    stream = torch.cuda.Stream()
    x = on_gpu(2)
    with torch.cuda.stream(stream), pytest.raises(RuntimeError, match="has not waited for it"):
        x.add_(1)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        x.add_(1)
    with pytest.raises(RuntimeError, match="has not waited for it"):
        x.tolist()
    with torch.cuda.stream(stream):
        x.tolist()
    assert x.tolist() == [2, 3]
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


def test_a_capture_for_its_thread_alone_lets_others_wait():
    x, failures = on_gpu(2), []

    def read():
        try:
            x.tolist()
        except RuntimeError as error:
            failures.append(error)

    for mode, expected in (("thread_local", 0), ("global", 1)):
        with torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode=mode):
            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
        assert len(failures) == expected


def test_memory_is_counted_as_long_as_a_tensor_or_the_graph_that_made_it_holds_it():
    x = torch.empty(1000, device="cuda")
    view = x[:10]
    graph, made = captured(partial(torch.mul, x, 2))
    assert torch.cuda.memory_allocated() == 8000
    del x, made
    gc.collect()
    assert torch.cuda.memory_allocated() == 8000
    graph.replay()
    del view
    gc.collect()
    assert torch.cuda.memory_allocated() == 4000
    with pytest.raises(RuntimeError, match="memory that has been freed"):
        graph.replay()
    del graph
    gc.collect()
    assert torch.cuda.memory_allocated() == 0
    assert torch.cuda.memory_reserved() == 8000
    torch.cuda.empty_cache()
    assert torch.cuda.mem_get_info()[0] == cuda_stand_in.TOTAL_MEMORY
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(cuda_stand_in.TOTAL_MEMORY, device="cuda")
