"""Lowering of ONNX models to ezkl's normal form."""
