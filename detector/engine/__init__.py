"""Engines: from images to path profiles."""

from detector.engine.reference import ReferenceEngine

__all__ = ["ReferenceEngine"]
