"""Neural networks as paths through the space of representations (arXiv 2206.10999): the geometry of their layers."""
