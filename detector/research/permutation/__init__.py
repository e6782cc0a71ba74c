"""Linear connectivity modulo permutation (Sharma et al., arXiv 2404.06498): aligning, merging, comparing networks."""
