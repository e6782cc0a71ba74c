"""What reflection tells: the services' descriptors, the Open Inference Protocol's by their names on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from isthmus.inference.v2 import inference_pb2 as oip
from isthmus.v1 import detector_pb2 as pb
from service.health import DETECTOR_SERVICE, HEALTH_SERVICE, INFERENCE_SERVICE

if TYPE_CHECKING:
    import grpc

_STREAM: Final = "ModelStreamInfer"
_REQUEST: Final = "Request"
_OWN: Final = oip.DESCRIPTOR.package


def enable_reflection(server: grpc.aio.Server) -> None:
    """Let clients list services and messages."""
    names = (DETECTOR_SERVICE, INFERENCE_SERVICE, HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=_pool())


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in (pb, health_pb2, reflection_pb2):
        _add(pool, module.DESCRIPTOR, set())
    pool.Add(_inference_file())
    return pool


def _add(pool: DescriptorPool, file: Any, known: set[str]) -> None:
    """Add a file after all that it depends on."""
    if file.name in known:
        return
    known.add(file.name)
    for other in file.dependencies:
        _add(pool, other, known)
    pool.AddSerializedFile(file.serialized_pb)


def _inference_file() -> FileDescriptorProto:
    """The protocol's file with its own package and service."""
    package, _, service = INFERENCE_SERVICE.rpartition(".")
    file = FileDescriptorProto()
    oip.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = f"{package}/inference.proto", package
    for message in file.message_type:
        _rename(message, package)
    described = file.service.add(name=service)
    requests = [message.name for message in file.message_type if message.name.endswith(_REQUEST)]
    methods = {request.removesuffix(_REQUEST): request for request in requests}
    for name, request in {**methods, _STREAM: methods["ModelInfer"]}.items():
        streams = name == _STREAM
        described.method.add(
            name=name,
            input_type=f".{package}.{request}",
            output_type=f".{package}.{name}Response",
            client_streaming=streams,
            server_streaming=streams,
        )
    return file


def _rename(message: DescriptorProto, package: str) -> None:
    """Let fields name their types in another package."""
    for field in message.field:
        if field.type_name.startswith(f".{_OWN}."):
            field.type_name = f".{package}.{field.type_name.removeprefix(f'.{_OWN}.')}"
    for inner in message.nested_type:
        _rename(inner, package)
