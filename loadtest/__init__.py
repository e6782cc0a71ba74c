"""Load tests: locust users who check every answer, arrival shapes, thresholds. See docs/loadtest.md."""
