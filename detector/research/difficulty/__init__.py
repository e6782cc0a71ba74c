"""Dataset difficulty and the role of inductive bias (arXiv 2401.01867): how hard examples are, for which networks."""
