"""Tuning: what a calibration may choose for itself, decided by measurement on the images that fit the scorer."""
