"""Version 1 of the API: messages in `detector_pb2`, client and server stubs in `detector_pb2_grpc`."""
