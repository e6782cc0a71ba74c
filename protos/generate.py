"""Generates the gRPC stubs from the protos: ``python protos/generate.py [OUT]`` (`make protos`).

The stubs are committed, so that installing Isthmus needs no compiler; a test regenerates and compares them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
SOURCES = ("isthmus/v1/detector.proto", "isthmus/inference/v2/inference.proto")


def generate(out: Path) -> None:
    """Write ``_pb2.py``, ``_pb2.pyi`` and ``_pb2_grpc.py`` of every source under `out`.

    Raises:
        SystemExit: The compiler found an error; it has printed it.
    """
    includes = (PROTOS, Path(status_pb2.__file__).parents[2], Path(grpc_tools.__file__).parent / "_proto")
    outputs = (f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python"))
    code = protoc.main(["protoc", *(f"-I{path}" for path in includes), *outputs, *SOURCES])
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS)
