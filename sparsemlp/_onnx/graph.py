"""An ONNX graph in the making."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sparsemlp import __version__

# Both are of 2022: onnxruntime reads them since version 1.14.
OPSET, IR_VERSION = 18, 8
#: of the nodes that are no tensor algebra, such as LabelEncoder
ML, ML_OPSET = "ai.onnx.ml", 3
FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64
BOOL, STRING = TensorProto.BOOL, TensorProto.STRING

#: the name of a tensor, or a constant
Tensor = str | np.ndarray | np.generic


class Graph:
    """Nodes and constants; tensors are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def input(self, name: str, kind: int, n_columns: int) -> str:
        """Add an input of shape (n_rows, n_columns)."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, [None, n_columns]))
        return name

    def output(self, name: str, tensor: str, kind: int, *n_columns: int) -> None:
        """Make a tensor of shape (n_rows, *n_columns) an output."""
        if name in [value.name for value in self.inputs]:
            raise ValueError(f"X has a column {name!r}, which is the name of an output; rename it before fit")
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, [None, *n_columns]))

    def add(self, operator: str, *inputs: Tensor, domain: str = "", **attributes: Any) -> str:
        """Add a node; inputs are names of tensors, or arrays. Return the name of its output."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"{operator}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], domain=domain, **attributes))
        return output

    def constant(self, values: np.ndarray | np.generic) -> str:
        """Add a constant; return its name."""
        name = f"constant/{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def cast(self, tensor: str, kind: int) -> str:
        """Add a node that converts a tensor."""
        return self.add("Cast", tensor, to=kind)

    def concat(self, tensors: list[str], axis: int) -> str:
        """Add a node that joins tensors, where there are several."""
        return tensors[0] if len(tensors) == 1 else self.add("Concat", *tensors, axis=axis)

    def model(self, name: str) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == ML for node in self.nodes):  # models of several versions of it cannot be joined
            opsets.append(helper.make_opsetid(ML, ML_OPSET))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "sparsemlp", __version__
        onnx.checker.check_model(model)
        return model
