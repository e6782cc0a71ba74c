"""The gRPC service around a detector. Never imports torch, scikit-learn, matplotlib or onnx."""
