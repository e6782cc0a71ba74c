"""The project's one trainer: recipes, networks by name, and training that can be interrupted without changing it."""
