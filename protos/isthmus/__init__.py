"""Generated gRPC stubs, one sub-package per API version."""
