"""Coming into a meeting."""
