"""Attacks: threat models, and running them."""
