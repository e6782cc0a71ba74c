"""Engines: from images to evidence."""
