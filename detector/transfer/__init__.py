"""Carrying a calibration over to a retrained classifier: keep it, set its thresholds anew, or calibrate anew."""
