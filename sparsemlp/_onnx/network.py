"""The network of an estimator, and its members' outputs put together as predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsemlp._activations import blocks
from sparsemlp._onnx.graph import BOOL, DOUBLE, FLOAT, INT64, STRING, Graph
from sparsemlp.module import SparseInitMLP


def member_outputs(graph: Graph, estimator: Any, x: str, order: np.ndarray) -> str:
    """Return the members' outputs, float64 of shape (n_members, n_rows, n_outputs).

    Parameters
    ----------
    graph : Graph
        Gets the nodes.
    estimator : estimator
        Fitted.
    x : str
        Scaled columns, of shape (n_rows, n_columns).
    order : ndarray of shape (n_columns,)
        Which of the network's inputs each of them is.
    """
    module: SparseInitMLP = estimator.net_.module_
    first, *hidden, last = ([_array(layer.weight).swapaxes(1, 2), _array(layer.bias)] for layer in module.layers)
    # columns of constant features are not computed in the graph as 0
    first[0] = np.where(estimator.scaler_.ignored_columns()[:, np.newaxis], 0, first[0])[:, order]
    x = graph.concat(
        [
            _ACTIVATIONS[kind](graph, x, first[0][:, :, neurons], first[1][:, neurons])
            for kind, neurons in blocks(module.activation, first[1].shape[1])
        ],
        axis=2,
    )
    for weight, bias in hidden:
        x = _relu(graph, x, weight, bias)
    output = graph.cast(_affine(graph, x, *last), DOUBLE)
    return graph.add("Mul", output, (module.output_scale / estimator._temperature)[:, None, None])


def _array(values: Any) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _affine(graph: Graph, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    return graph.add("Add", graph.add("MatMul", x, weight), bias[:, np.newaxis])


def _function(operator: str) -> Any:
    return lambda graph, *layer: graph.add(operator, _affine(graph, *layer))


_relu = _function("Relu")


def _box(graph: Graph, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """Return a (1 - b) and a b for the logistic functions a and b of the two halves of the neurons."""
    a, b = (
        graph.add("Sigmoid", _affine(graph, x, *layer))
        for layer in zip(np.split(weight, 2, axis=2), np.split(bias, 2, axis=1), strict=True)
    )
    both = graph.add("Mul", a, b)
    return graph.concat([graph.add("Sub", a, both), both], axis=2)


_ACTIVATIONS = {"relu": _relu, "tanh": _function("Tanh"), "sin": _function("Sin"), "box": _box}


def add_regression(graph: Graph, estimator: Any, output: str) -> None:
    """Add the output "variable": the mean of the members, in the units of y."""
    mean = graph.add("ReduceMean", output, np.array([0]), keepdims=0)
    scale, center = np.atleast_1d(estimator.y_scale_), np.atleast_1d(estimator.y_mean_)
    predicted = graph.add("Add", graph.add("Mul", mean, scale), center)
    graph.output("variable", graph.cast(predicted, FLOAT), FLOAT, len(scale))


def add_classification(graph: Graph, estimator: Any, output: str) -> None:
    """Add the outputs "label" and "probabilities", or "scores" where the loss has no probabilities."""
    is_binary = len(estimator.classes_) == 2 and not estimator._is_multilabel
    has_probabilities = estimator.net_.criterion_.loss.has_probabilities
    if has_probabilities and (is_binary or estimator._is_multilabel):
        output = graph.add("Sigmoid", output)
    elif has_probabilities:
        output = graph.add("Softmax", output, axis=-1)
    columns = graph.add("ReduceMean", output, np.array([0]), keepdims=0)
    if is_binary:
        other = graph.add("Sub", np.float64(has_probabilities), columns)  # 1 - p, or minus the score
        columns = graph.concat([other, columns], axis=1)
    if estimator._is_multilabel:
        is_more = graph.add("Greater", columns, np.float64(0.5 if has_probabilities else 0.0))
        graph.output("label", graph.cast(is_more, INT64), INT64, len(estimator.classes_))
    else:
        classes, kind = _classes(estimator.classes_)
        best = graph.add("ArgMax", columns, axis=1, keepdims=0)
        graph.output("label", graph.add("Gather", classes, best), kind)
    name = "probabilities" if has_probabilities else "scores"
    graph.output(name, graph.cast(columns, FLOAT), FLOAT, len(estimator.classes_))


def _classes(classes: np.ndarray) -> tuple[np.ndarray, int]:
    """Return classes as an ONNX tensor holds them, and its type."""
    kinds = {"i": (np.int64, INT64), "u": (np.int64, INT64), "b": (np.bool_, BOOL), "f": (np.float64, DOUBLE)}
    if classes.dtype.kind not in kinds and not all(isinstance(label, str) for label in classes):
        raise ValueError(f"labels of the dtype {classes.dtype} have no type in ONNX; fit on numbers or text")
    dtype, kind = kinds.get(classes.dtype.kind, (object, STRING))
    return classes.astype(dtype), kind
