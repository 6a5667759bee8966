"""The demo: a real model from ONNX file to refused forgeries, on one machine."""
