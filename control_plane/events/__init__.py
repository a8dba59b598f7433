"""Redis: live state and the event log of each meeting."""
