"""Writes a bundle's whole guard as one ONNX graph, from images to evidence."""
