"""Canaries by fingerprint: inputs whose answers move with small changes of the classifier, and what rounding does."""
