"""Analyses of the papers the detector rests on, and what they say for its calibration."""
