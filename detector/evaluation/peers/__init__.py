"""Other people's detectors, to be measured beside the guard: same images, same thresholds, cost counted alike."""
