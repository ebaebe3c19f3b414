"""Detectors of several families in ONNX files."""
