"""Winning tickets: selection, cutting out, rewinding, retraining, and the experiment that puts them together."""

import copy
import pickle

import numpy as np
import pytest
import torch
from helpers.small import labelled_rows, small_classifier

import sparsemlp.lottery._experiment as experiment_module
from sparsemlp import SparseInitMLP, paper_net
from sparsemlp._training.losses import make_loss
from sparsemlp.frontier import success_frontier
from sparsemlp.lottery import (
    KeepInitialisation,
    retrain,
    select_neurons,
    subnetwork,
    ticket_experiment,
    winning_ticket,
)

SMALL = {"n_features": 12, "n_informative": 2, "width": 30, "n_runs": 3, "max_steps": 750, "device": "cpu"}


def make_module(width=(12,), n_outputs=1, n_members=2, sparsity=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return SparseInitMLP(
        6, n_outputs, width, sparsity, n_members=n_members, bias_init="uniform", generator=generator
    )


# -- select and cut out ---------------------------------------------------------------------------------------


def test_the_neurons_of_largest_norm_are_selected_member_by_member():
    module = make_module()
    with torch.no_grad():
        for member, order in enumerate([(3, 11, 0), (5, 4, 7)]):
            for rank, neuron in enumerate(order):
                module.input_layer.weight[member, neuron] *= 5 - rank
    assert select_neurons(module, 3).tolist() == [[3, 11, 0], [5, 4, 7]]
    assert select_neurons(module, 12).sort(dim=1).values.tolist() == [list(range(12))] * 2


@pytest.mark.parametrize(("width", "n_outputs"), [((12,), 1), ((12,), 3), ((12, 5), 1), ((12, 5, 4), 3)], ids=str)
def test_a_subnetwork_computes_what_the_network_does_without_the_other_neurons(width, n_outputs):
    module = make_module(width, n_outputs)
    neurons = torch.tensor([[3, 0, 7], [11, 2, 5]])
    silenced = copy.deepcopy(module)
    with torch.no_grad():
        for member, kept in enumerate(neurons.tolist()):
            others = [i for i in range(12) if i not in kept]
            silenced.layers[1].weight[member][:, others] = 0
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(1))
    narrow = subnetwork(module, neurons)
    assert narrow.input_layer.weight.shape == (2, 3, 6)
    torch.testing.assert_close(narrow(x), silenced(x))


def test_a_subnetwork_of_all_members_takes_one_list_of_neurons():
    module = make_module()
    narrow = subnetwork(module, np.array([4, 1]))
    assert torch.equal(narrow.input_layer.weight, module.input_layer.weight[:, [4, 1]])
    assert torch.equal(narrow.output_layer.weight, module.output_layer.weight[:, :, [4, 1]])


def test_training_a_subnetwork_leaves_the_network_alone():
    module = make_module()
    before = [parameter.clone() for parameter in module.parameters()]
    narrow = subnetwork(module, [0, 1])
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.zero_()
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(module.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ([[0, 1]], r"neurons has shape \(1, 2\); it must be .* n_members=2"),
        ([], "neurons is empty; it must name at least one neuron"),
        ([0, 12], "neurons has the index 12, but indices go from 0 to 11"),
        ([-1, 3], "neurons has the index -1"),
        ([[1, 2], [3, 3]], "neurons has an index twice"),
    ],
)
def test_neurons_that_are_none_are_named(neurons, message):
    with pytest.raises(ValueError, match=message):
        subnetwork(make_module(), torch.tensor(neurons, dtype=torch.int64))


def test_neurons_must_be_integers():
    with pytest.raises(TypeError, match="neurons must be indices"):
        subnetwork(make_module(), [0.5, 1.0])


@pytest.mark.parametrize("n_neurons", [0, 13])
def test_the_number_of_neurons_is_at_most_the_width(n_neurons):
    with pytest.raises(ValueError, match=f"n_neurons={n_neurons} is too"):
        select_neurons(make_module(), n_neurons)


# -- rewind ---------------------------------------------------------------------------------------------------


def test_a_ticket_has_the_trained_networks_neurons_and_the_initial_weights():
    initial, trained = make_module(), make_module(seed=1)
    ticket = winning_ticket(trained, 4, initial=initial)
    expected = subnetwork(initial, select_neurons(trained, 4))
    for ours, theirs in zip(ticket.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_estimator_gives_the_ticket_that_its_callback_has_kept():
    X, y = labelled_rows()
    keep = KeepInitialisation()
    clf = small_classifier(callbacks=[keep]).fit(X, y)
    assert not torch.equal(keep.initial_.input_layer.weight, clf.net_.module_.input_layer.weight)
    ticket = winning_ticket(clf, 3)
    neurons = select_neurons(clf.net_.module_, 3)
    for member in range(2):
        expected = keep.initial_.input_layer.weight[member, neurons[member]]
        assert torch.equal(ticket.input_layer.weight[member], expected)
    assert (ticket.input_layer.weight != 0).sum(dim=-1).unique().tolist() == [2]
    again = winning_ticket(pickle.loads(pickle.dumps(clf)), 3)
    assert torch.equal(again.input_layer.weight, ticket.input_layer.weight)


def test_keeping_the_initialisation_does_not_change_training():
    X, y = labelled_rows()
    plain, kept = small_classifier().fit(X, y), small_classifier(callbacks=[KeepInitialisation()]).fit(X, y)
    assert (plain.decision_function(X) == kept.decision_function(X)).all()


def test_a_warm_start_keeps_the_first_initialisation_and_a_new_fit_a_new_one():
    X, y = labelled_rows()
    keep = KeepInitialisation()
    clf = small_classifier(callbacks=[keep], warm_start=True, max_epochs=1).fit(X, y)
    first = keep.initial_.input_layer.weight.clone()
    clf.fit(X, y)
    assert torch.equal(keep.initial_.input_layer.weight, first)
    clf.set_params(warm_start=False, random_state=1).fit(X, y)
    assert not torch.equal(keep.initial_.input_layer.weight, first)


@pytest.mark.parametrize("as_estimator", [False, True])
def test_a_ticket_without_known_initialisation_says_what_to_do(as_estimator):
    X, y = labelled_rows()
    trained = small_classifier(max_epochs=1).fit(X, y) if as_estimator else make_module()
    with pytest.raises(ValueError, match="the initialisation is not known: pass initial="):
        winning_ticket(trained)


def test_another_networks_initialisation_is_refused():
    with pytest.raises(ValueError, match="initial has parameters of shapes"):
        winning_ticket(make_module(), initial=make_module((13,)))


@pytest.mark.parametrize("thing", [paper_net(), "net"])
def test_only_networks_and_fitted_estimators_have_tickets(thing):
    with pytest.raises(TypeError, match="trained must be a SparseInitMLP or a fitted estimator"):
        winning_ticket(thing)


# -- retrain --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("loss_name", ["hinge", "cross_entropy", "squared"])
def test_retraining_is_plain_sgd_on_random_rows(loss_name, n_members):
    X, y = labelled_rows()
    start = make_module(n_members=n_members, sparsity=None).double()
    before = [parameter.clone() for parameter in start.parameters()]
    trained = retrain(start, X, y, n_steps=30, loss=loss_name, learning_rate=0.03, weight_decay=0.02, batch_size=8)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(start.parameters(), before, strict=True))

    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(start.parameters(), lr=0.03, weight_decay=0.02)
    loss = make_loss(loss_name, n_classes=2)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y).double()
    target = labels if loss_name == "cross_entropy" else 2 * labels - 1
    for _ in range(30):
        index = torch.randint(len(X), (n_members, 8), generator=generator)
        optimizer.zero_grad()
        loss.value(start(rows[index]), target[index].unsqueeze(-1)).mean(dim=1).sum().backward()
        optimizer.step()
    for ours, theirs in zip(trained.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.detach())


def test_a_ticket_of_an_estimator_learns_its_scaled_rows():
    X, y = labelled_rows(300)
    clf = small_classifier(callbacks=[KeepInitialisation()], max_epochs=30).fit(X, y)
    rows = clf.scaler_.transform(X)
    ticket = retrain(winning_ticket(clf, 8), rows, y, n_steps=2000, weight_decay=0.001)
    right = (ticket(torch.from_numpy(rows))[..., 0] > 0).numpy() == y
    assert (right.mean(axis=1) > 0.8).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": np.zeros((4, 5))}, r"X has shape \(4, 5\), but the network takes 6 features"),
        ({"y": np.zeros(3)}, r"y has shape \(3,\), but X has 4 rows"),
        ({"y": np.array([-1, 1, 1, -1])}, "y must hold the labels 0 and 1 only"),
        ({"module": make_module(n_outputs=3)}, "module has 3 outputs"),
        ({"loss": "log"}, "loss='log' is unknown"),
        ({"n_steps": 0}, "n_steps=0 is too small"),
        ({"batch_size": -1}, "batch_size=-1 is too small"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_named(changes, message):
    call = {"module": make_module(), "X": np.zeros((4, 6)), "y": np.zeros(4)} | changes
    with pytest.raises(ValueError, match=message):
        retrain(**call)


# -- the experiment -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [{"online": True}, {"online": False, "n_samples": 200}], ids=str)
def test_the_full_nets_are_those_of_the_frontier(data):
    runs = ticket_experiment(**data, **SMALL)
    full = runs[runs.net == "full"].reset_index(drop=True)
    frontier = success_frontier(**({"n_samples": 1, "sparsity": 2} | data | SMALL))
    outcome = ["run", "succeeded", "steps_to_success"]
    assert full[outcome].equals(frontier[outcome])
    np.testing.assert_allclose(
        full.test_error, frontier.test_error, atol=5e-3
    )  # rounding, in groups of other sizes
    assert frontier.succeeded.any()


def test_every_run_has_three_rows_with_their_settings():
    runs = ticket_experiment(n_neurons=4, **SMALL)
    assert runs.net.tolist() == ["full", "ticket", "random re-initialisation"] * 3
    assert runs.run.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert runs.width.tolist() == [30, 4, 4] * 3
    assert runs.n_samples.isna().all()
    assert (runs.n_lucky <= runs.width).all()
    offline = ticket_experiment(online=False, n_samples=100, **SMALL)
    assert (offline.n_samples == 100).all()


def test_tickets_learn_where_random_neurons_mostly_do_not():
    runs = ticket_experiment(30, 3, n_neurons=4, n_runs=10, max_steps=2500, device="cpu")
    succeeded = runs.groupby("net").succeeded.sum()
    assert succeeded["full"] == 10
    assert succeeded["ticket"] >= succeeded["random re-initialisation"] + 4
    lucky = runs.groupby("net").n_lucky.sum()
    assert lucky["ticket"] > lucky["random re-initialisation"]


@pytest.mark.parametrize(("target", "online"), [("staircase", True), ("polynomial", False)])
def test_tickets_of_other_targets_are_those_of_their_own_full_nets(target, online):
    runs = ticket_experiment(target=target, online=online, n_samples=200, **(SMALL | {"n_informative": 3}))
    full = runs[runs.net == "full"].reset_index(drop=True)
    frontier = success_frontier(
        n_samples=200, sparsity=2, target=target, online=online, **(SMALL | {"n_informative": 3})
    )
    outcome = ["run", "succeeded", "steps_to_success"]
    assert full[outcome].equals(frontier[outcome])
    assert runs.net.value_counts().to_dict() == dict.fromkeys(runs.net.unique(), 3)


def test_tickets_of_a_polynomial_have_training_rows():
    with pytest.raises(ValueError, match="target='polynomial' cannot be trained online"):
        ticket_experiment(target="polynomial", **SMALL)


def test_ticket_and_random_neurons_start_as_neurons_of_a_wide_net(monkeypatch):
    starts = []
    train = experiment_module.RunBatch

    def recording(runs, device, module=None, *batches):
        starts.append(None if module is None else copy.deepcopy(module))
        return train(runs, device, module, *batches)

    monkeypatch.setattr(experiment_module, "RunBatch", recording)
    ticket_experiment(**(SMALL | {"width": 100, "max_steps": 250, "n_threads": 1}))
    assert starts[0] is None
    for start in starts[1:]:
        assert start.input_layer.weight.count_nonzero(dim=-1).unique().tolist() == [2]
        assert start.output_layer.weight.abs().max() <= 0.1  # 1 / sqrt(100), where 5 neurons' own is 0.45
    assert not torch.equal(starts[1].input_layer.weight, starts[2].input_layer.weight)


def test_the_number_of_lucky_neurons_is_that_of_a_count_by_hand():
    supports = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    module = make_module((4,), sparsity=2)
    with torch.no_grad():
        module.input_layer.weight.zero_()
        for member, neuron, held in [(0, 0, [0, 2]), (0, 1, [0, 3]), (0, 2, [4, 5]), (0, 3, [1, 2])]:
            module.input_layer.weight[member, neuron, held] = -1
        for neuron, held in enumerate([[0, 1], [1, 2], [2, 3], [3, 0]]):
            module.input_layer.weight[1, neuron, held] = 1
    assert experiment_module._n_lucky(module, supports) == [2, 0]
    dense = make_module((4,), sparsity=None)
    assert experiment_module._n_lucky(dense, supports) == [4, 4]


def test_the_experiment_is_reproducible_and_its_runs_do_not_depend_on_how_many():
    few, many = (ticket_experiment(**(SMALL | {"n_runs": n})) for n in (2, 4))
    again = ticket_experiment(**(SMALL | {"n_runs": 2}))
    assert few.equals(again)
    columns = ["run", "net", "n_lucky", "succeeded", "steps_to_success"]
    assert few[columns].equals(many[many.run < 2][columns])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"online": False}, "n_samples must be given where online=False"),
        ({"n_neurons": 31}, "n_neurons=31 is too large; it must be at most width=30"),
        ({"n_informative": 13}, "n_informative=13 is too large; it must be at most n_features=12"),
        ({"n_runs": 0}, "n_runs=0 is too small"),
    ],
)
def test_an_impossible_experiment_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        ticket_experiment(**(SMALL | changes))


@pytest.mark.parametrize("activation", ["relu", "tanh", "sin"])
def test_a_subnetwork_of_all_neurons_computes_the_same(activation):
    module = SparseInitMLP(6, 2, (8, 4), 2, n_members=2, activation=activation)
    x = torch.randn(5, 6)
    torch.testing.assert_close(subnetwork(module, range(8))(x), module(x))
    torch.testing.assert_close(subnetwork(module, [3, 1, 0, 2, 7, 5, 4, 6])(x), module(x))


@pytest.mark.parametrize("activation", ["mixed", "relu-tanh", "box"])
def test_a_subnetwork_of_neurons_whose_place_matters_is_refused(activation):
    module = SparseInitMLP(6, 1, 8, 2, activation=activation)
    with pytest.raises(ValueError, match=f"activation='{activation}' does not survive"):
        subnetwork(module, [0, 1])
