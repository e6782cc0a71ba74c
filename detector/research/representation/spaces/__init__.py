"""Spaces in which a representation of some inputs is one point."""
