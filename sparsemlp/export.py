"""Export of fitted estimators as ONNX, for machines without Python, torch or sparsemlp.

The graph is written node by node with ``onnx.helper``. ``torch.onnx`` could trace the network alone. Most of the
graph is what NumPy and scikit-learn compute: scaling, ranks, categories and labels.
"""

from __future__ import annotations

from os import PathLike
from typing import IO, Any

from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sparsemlp._base import BaseSparseInitMLP


def to_onnx(estimator: BaseSparseInitMLP, path: str | PathLike | IO[bytes]) -> None:
    """Write a fitted estimator as one ONNX graph, with all that ``predict`` and ``predict_proba`` do.

    Inputs and outputs have the names and types that skl2onnx gives them:

    - Input "X", float32 of shape (None, n_features), NaN where missing. Codes of categories are numbers, too.
    - If some column has categories that are text, an input of shape (None, 1) for every column instead. It has the
      column's name, or is "x0", "x1" and so on without names. Text is "" where it is missing; numbers are float32.
    - Outputs of a classifier: "label" of shape (None,), and "probabilities", float32 of shape (None, n_classes).
      With several labels a row both have the shape (None, n_labels). If the loss has no probabilities, the second
      output is "scores": decision values, a column for each class.
    - Output of a regressor: "variable", float32 of shape (None, n_targets).

    Values are scaled in float64, as by the estimator, and the network computes in float32: predictions differ from
    the estimator's by rounding errors, of which the largest is that of the inputs. Two times in seconds since 1970
    can be the same number in float32; subtract an offset from such columns before ``fit``.

    Parameters
    ----------
    estimator : SparseInitMLPClassifier or SparseInitMLPRegressor
        Fitted.
    path : str, path or binary file
        Where to write.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the estimator is another one, such as a pipeline.
    ValueError
        If categories or labels are of a type that ONNX does not have, or a column has the name of an output.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sparsemlp import SparseInitMLPClassifier
    >>> from sparsemlp.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SparseInitMLPClassifier(max_epochs=3, random_state=0).fit(X, y)
    >>> file = io.BytesIO()
    >>> to_onnx(clf, file)
    >>> session = onnxruntime.InferenceSession(file.getvalue())
    >>> label, probabilities = session.run(None, {"X": X.astype(np.float32)})
    >>> bool(np.abs(probabilities - clf.predict_proba(X)).max() < 1e-5)
    True
    """
    if not isinstance(estimator, BaseSparseInitMLP):
        raise TypeError(_refusal(estimator))
    check_is_fitted(estimator)
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install onnx") from error
    from sparsemlp._onnx.graph import Graph
    from sparsemlp._onnx.inputs import scaled_inputs
    from sparsemlp._onnx.network import add_classification, add_regression, member_outputs

    graph = Graph()
    output = member_outputs(graph, estimator, *scaled_inputs(graph, estimator))
    add_outputs = add_classification if is_classifier(estimator) else add_regression
    add_outputs(graph, estimator, output)
    onnx.save(graph.model(type(estimator).__name__), path)


def _refusal(estimator: Any) -> str:
    return (
        f"to_onnx takes a SparseInitMLPClassifier or SparseInitMLPRegressor, not {type(estimator).__name__}. "
        "Of a pipeline, convert the steps before the estimator with skl2onnx, and join the two models with "
        "onnx.compose.merge_models. Scaling, missing values and categories need no steps before"
    )
