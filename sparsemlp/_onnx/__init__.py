"""Parts of an estimator's ONNX graph."""
