"""How good a detector is: metrics."""
