"""Adaptive attacks: on the whole guard, classifier and detector together, by attackers who know it."""
