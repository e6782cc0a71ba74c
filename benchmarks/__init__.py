"""Measurements of speed, as ratios taken in one run: machines are shared and noisy."""
