"""Who was in which meeting."""
