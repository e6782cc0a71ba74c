"""Paths in input space: straight ones with their losses and barriers, bypasses, and which inputs they join."""
