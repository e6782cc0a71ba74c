"""Calibration: from a classifier and held-out images to a bundle, and the conformal p-values it rests on."""
