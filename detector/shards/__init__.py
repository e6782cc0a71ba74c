"""Shards: fixed parts of the work of a calibration, run in this process or spread over a Ray cluster."""
