"""Who is still in a meeting."""
