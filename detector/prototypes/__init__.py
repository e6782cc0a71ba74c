"""Prototypes: synthetic inputs a classifier assigns to a class with near-zero loss, or real ones in their stead."""
