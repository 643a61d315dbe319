"""A fitted net as plain values and numpy arrays, which pickle, joblib and skops can store."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sparsemlp._training.optimizers import laid_out_like
from sparsemlp.module import SparseInitMLP

#: the parameter of which every member has columns of zeros, where it does not see them
FIRST = "input_layer.weight"
#: increases with every change in the meaning of the saved values
FORMAT = 6


def net_state(net: Any) -> dict[str, Any]:
    """Return parameters, history and, where training can go on, the optimizer of a skorch net."""
    state: dict[str, Any] = {
        "format": FORMAT,
        "parameters": {name: _plain(values) for name, values in net.module_.state_dict().items()},
        "activation": net.module_.activation,
        "richness": net.module_.richness,
        "history": _plain(list(net.history)),
        "start": _plain(net.start_),
        "schedule": None if net.schedule is None else list(net.schedule),
    }
    state["parameters"][FIRST] = _without_unseen(state["parameters"][FIRST])
    if net.can_train():
        saved = net.optimizer_.state_dict()
        state["optimizer"] = [_plain(saved["state"].get(i, {})) for i in range(len(state["parameters"]))]
    return state


def restore_module(state: dict[str, Any], device: torch.device) -> SparseInitMLP:
    """Build the network that `state` describes, on `device`; ValueError where another version has written it."""
    if state.get("format") != FORMAT:
        raise ValueError(
            f"this network was saved in format {state.get('format', 1)} and this version of sparsemlp reads "
            f"{FORMAT}; load it with the version that saved it, or fit it again"
        )
    arrays = state["parameters"] | {FIRST: _with_unseen(*state["parameters"][FIRST])}
    shapes = [values.shape for name, values in arrays.items() if name.endswith("weight")]
    n_members, _, n_features = shapes[0]
    module = SparseInitMLP(
        n_features,
        n_outputs=shapes[-1][1],
        width=[shape[1] for shape in shapes[:-1]],
        sparsity=1,
        activation=state["activation"],
        richness=state["richness"],
        n_members=n_members,
        dtype=torch.float32,
        generator=torch.Generator(),  # its weights are replaced, and torch's global generator is left alone
    )
    # copies here and below: joblib maps large arrays to files, which training must not write to
    module.load_state_dict({name: torch.tensor(values) for name, values in arrays.items()})
    return module.to(device)


def _without_unseen(weight: np.ndarray) -> list[Any]:
    """Return which columns each member sees, (n_members, n_features), and its weights of those alone."""
    seen: np.ndarray = (weight != 0).any(axis=1)
    return [seen, *(own[:, columns] for own, columns in zip(weight, seen, strict=True))]


def _with_unseen(seen: np.ndarray, *weights: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(seen), len(weights[0]), seen.shape[1]), dtype=np.float32)
    for own, columns, values in zip(whole, seen, weights, strict=True):
        own[:, columns] = values
    return whole


def restore_optimizer(net: Any, state: dict[str, Any]) -> None:
    """Give `net` the optimizer state it was saved with; none if training had ended."""
    if "optimizer" not in state:
        net.release()
        return
    saved = net.optimizer_.state_dict()
    parameters = [parameter for group in net.optimizer_.param_groups for parameter in group["params"]]
    saved["state"] = {
        i: {name: laid_out_like(parameter, torch.tensor(value)) for name, value in entry.items()}
        for i, (entry, parameter) in enumerate(zip(state["optimizer"], parameters, strict=True))
        if entry
    }
    net.optimizer_.load_state_dict(saved)
    net.release(keep_optimizer=True)


def _plain(value: Any) -> Any:
    """Turn tensors into arrays and numpy scalars into Python's, recursively."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
