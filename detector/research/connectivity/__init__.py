"""Input-space mode connectivity (Vrabel et al., arXiv 2409.05800): barriers, bypasses, and what they tell."""
