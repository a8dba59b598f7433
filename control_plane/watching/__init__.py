"""Watching what happens in a meeting."""
