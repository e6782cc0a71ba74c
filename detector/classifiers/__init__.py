"""Classifiers: images in, logits out, whatever they were built with."""
