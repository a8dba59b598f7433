"""A meeting's live state and its ordered event log."""
