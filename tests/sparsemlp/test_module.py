"""The network: shapes, the members' independence, and the same outputs as torch's own layers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import sparsemlp.module
from sparsemlp import SparseInitMLP
from sparsemlp._activations import ACTIVATIONS, blocks, tanh_
from sparsemlp.module import GROUP_VALUES


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def torch_copy_of_member(module, member):
    """Return one member as a plain torch.nn.Sequential in float64."""
    layers = []
    for layer in module.layers:
        linear = nn.Linear(layer.weight.shape[2], layer.weight.shape[1]).double()
        linear.weight.data.copy_(layer.weight[member])
        linear.bias.data.copy_(layer.bias[member])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("width", [8, (8, 5), (8, 5, 3)])
@pytest.mark.parametrize("n_members", [1, 3])
def test_every_member_computes_what_torch_layers_would(width, n_members):
    module = SparseInitMLP(6, 2, width, 2, n_members=n_members, bias_init="uniform", generator=generator())
    shared, own = torch.randn(10, 6), torch.randn(n_members, 10, 6)
    assert module(shared).shape == module(own).shape == (n_members, 10, 2)
    for member in range(n_members):
        reference = torch_copy_of_member(module, member)
        for x, output in ((shared, module(shared)), (own[member], module(own))):
            torch.testing.assert_close(output[member].double(), reference(x.double()), rtol=0, atol=1e-5)


def test_the_input_layer_has_the_promised_shape_and_sparsity():
    module = SparseInitMLP(10, 1, (64, 16), 2, n_members=3, generator=generator())
    assert module.input_layer.weight.shape == (3, 64, 10)
    assert (module.input_layer.weight.count_nonzero(dim=-1) == 2).all()


def test_only_the_input_layer_starts_sparse():
    module = SparseInitMLP(10, 1, (64, 16), 2, generator=generator())
    assert all((layer.weight != 0).all() for layer in module.layers[1:])


def test_dense_means_no_zero_weight_and_torch_bounds():
    weight = SparseInitMLP(25, 1, 100, None, generator=generator()).input_layer.weight
    assert (weight != 0).all()
    assert 0.19 < weight.abs().max() <= 0.2  # 1 / sqrt(25)


def test_training_is_dense():
    module = SparseInitMLP(10, 1, 16, 1, bias_init="uniform", generator=generator())
    x = torch.randn(50, 10, generator=generator(1))
    module(x).sum().backward()
    gradient = module.input_layer.weight.grad
    assert (gradient[module.input_layer.weight == 0] != 0).any()


def test_zero_biases_are_zero_and_uniform_ones_use_s_as_fan_in():
    zeros = SparseInitMLP(50, 1, 500, 4, bias_init="zeros", generator=generator()).input_layer.bias
    uniform = SparseInitMLP(50, 1, 500, 4, bias_init="uniform", generator=generator()).input_layer.bias
    assert (zeros == 0).all()
    assert 0.49 < uniform.abs().max() <= 0.5


def test_members_start_different():
    weight = SparseInitMLP(10, 1, 16, 2, n_members=2, generator=generator()).output_layer.weight
    assert not torch.equal(weight[0], weight[1])


def test_the_same_seed_builds_the_same_network_and_leaves_the_global_generator():
    state = torch.random.get_rng_state()
    data = torch.randn(9, 10, generator=generator(5))
    first, second = (
        SparseInitMLP(10, 1, (16, 4), 2, init="normal", bias_init="data", data=data, generator=generator(3))
        for _ in range(2)
    )
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("width", [np.int64(8), np.array([8, 4]), [np.int32(8), 4]])
def test_widths_may_be_numpys_numbers(width):
    module = SparseInitMLP(10, 1, width, 2, generator=generator())
    assert module.input_layer.weight.shape == (1, 8, 10)
    assert module(torch.zeros(3, 10)).shape == (1, 3, 1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1, 8, 1), "n_features=0 must be at least 1"),
        ((5, 0, 8, 1), "n_outputs=0 must be at least 1"),
        ((5, 1, 0, 1), r"width\[0\]=0 must be at least 1"),
        ((5, 1, (8, -2), 1), r"width\[1\]=-2 must be at least 1"),
        ((5, 1, (), 1), r"width=\(\) must name at least one hidden layer"),
        ((5, 1, 8, 6), "sparsity=6 .* 5"),
    ],
)
def test_sizes_that_make_no_network_are_errors(sizes, message):
    with pytest.raises(ValueError, match=message):
        SparseInitMLP(*sizes)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_members": 0}, "n_members=0 must be at least 1"),
        ({"init": "x"}, "init='x' is unknown; choose one of .*'sign'"),
        ({"bias_init": "x"}, "bias_init='x' is unknown; choose one of .*'zeros'"),
        ({"activation": "x"}, "activation='x' is unknown; choose one of .*'relu'"),
        ({"bias_init": "data"}, "pass data="),
    ],
)
def test_options_that_make_no_network_are_errors(option, message):
    with pytest.raises(ValueError, match=message):
        SparseInitMLP(5, 1, 8, 2, **option)


def test_a_mixed_layer_is_a_quarter_each_of_relu_and_sines_and_half_of_boxes():
    module = SparseInitMLP(6, 1, 12, 2, init="sign", n_members=200, activation="mixed", generator=generator())
    weight = module.input_layer.weight.detach()
    sizes = weight.abs().amax(dim=-1)  # of signs: what they were multiplied by
    assert (sizes[:, :3] == 1).all()
    assert (sizes[:, 6:] == 20).all()
    sines = sizes[:, 3:6]
    assert sines.min() >= 1
    assert sines.max() <= 4
    assert sines.log().mean().item() == pytest.approx(np.log(2), abs=4 * np.log(4) / np.sqrt(12 * sines.numel()))
    x = torch.randn(50, 6)
    z = torch.einsum("mwf,bf->mbw", weight, x)
    a, b = z[..., 6:9].sigmoid(), z[..., 9:].sigmoid()
    hidden = torch.cat([z[..., :3].relu(), z[..., 3:6].sin(), a * (1 - b), a * b], dim=-1)
    readout = module.output_layer
    expected = hidden @ readout.weight.mT + readout.bias.unsqueeze(1)
    torch.testing.assert_close(module(x), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_gradients_the_same_is_computed_and_the_input_kept(activation):
    module = SparseInitMLP(6, 2, (32, 8), 2, n_members=2, activation=activation, generator=generator())
    x = torch.randn(20, 6)
    before = x.clone()
    with torch.no_grad():
        found = module(x)
    has_tanh = any(kind == "tanh" for kind, _ in blocks(activation, 32))  # whose tanh is by another formula
    torch.testing.assert_close(found, module(x), rtol=0, atol=2e-6 if has_tanh else 0)
    assert torch.equal(x, before)


@pytest.mark.parametrize("width", [1, 12])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_autograd_goes_through_every_activation(activation, width):
    module = SparseInitMLP(5, 1, width, 2, activation=activation, generator=generator()).double()
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_tanh_by_the_logistic_function_is_tanh():
    x = torch.cat([torch.linspace(-12, 12, 9999), torch.tensor([0.0, 1e-30, 1e4, -1e30, math.inf, -math.inf])])
    found = x.clone()
    assert tanh_(found) is found
    np.testing.assert_allclose(found.double().numpy(), np.tanh(x.double().numpy()), rtol=0, atol=2**-22)
    assert tanh_(torch.tensor([math.nan])).isnan()
    for dtype in (torch.float64, torch.bfloat16):
        assert torch.equal(tanh_(x.to(dtype)), x.to(dtype).tanh())


@pytest.mark.parametrize("own_rows", [True, False])
def test_members_computed_one_after_another_give_what_they_give_together(own_rows, monkeypatch):
    module = SparseInitMLP(6, 2, (32, 8), 2, n_members=5, activation="mixed", generator=generator())
    x = torch.randn(5, 20, 6) if own_rows else torch.randn(20, 6)

    def outputs_and_gradients():
        module.zero_grad()
        module(x).square().sum().backward()
        with torch.no_grad():
            return [module(x), *(parameter.grad.clone() for parameter in module.parameters())]

    assert module.n_groups(20) == 1
    together = outputs_and_gradients()
    for group_values, n_groups in ((1, 5), (2 * 20 * 40, 3)):
        monkeypatch.setattr(sparsemlp.module, "GROUP_VALUES", group_values)
        assert module.n_groups(20) == n_groups
        for found, expected in zip(outputs_and_gradients(), together, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@given(n_rows=st.integers(0, 10**6), n_members=st.integers(1, 60), width=st.integers(1, 50))
def test_groups_fit_a_cache_or_are_one_member(n_rows, n_members, width):
    module = SparseInitMLP(3, 1, (width, 5), None, n_members=n_members)
    groups = module.groups_of_members(module.n_groups(n_rows))
    assert [member for group in groups for member in range(n_members)[group]] == list(range(n_members))
    sizes = {group.stop - group.start for group in groups}
    assert max(sizes) == 1 or max(sizes) * n_rows * (width + 5) <= GROUP_VALUES


@pytest.mark.parametrize("width", range(1, 8))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_kinds_of_neurons_cover_a_layer_of_any_width(activation, width):
    covered = [i for _, neurons in blocks(activation, width) for i in range(width)[neurons]]
    assert covered == list(range(width))


def test_column_groups_reach_the_input_layer():
    groups = [[0, 2], [1, 3]]
    weight = SparseInitMLP(4, 1, 200, 2, column_groups=groups, generator=generator()).input_layer.weight[0]
    assert (weight[:, [0, 2]].count_nonzero(dim=1) == 1).all()


@torch.no_grad()
def test_a_hook_may_keep_what_every_member_computes_without_gradients(monkeypatch):
    monkeypatch.setattr("sparsemlp.module.GROUP_VALUES", 1)
    net = SparseInitMLP(4, 1, (6, 5), 2, n_members=3, generator=torch.Generator().manual_seed(0))
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    plain, kept = net(x), []
    net.hidden_layers[0].register_forward_hook(lambda layer, args, output: kept.append(output))
    assert torch.equal(net(x), plain)
    expected = net.hidden_layers[0](torch.relu(net.input_layer(x))).relu()
    torch.testing.assert_close(torch.cat(kept[:3]), expected)
