"""A crowd in one meeting: load processes in which people join, watch the meeting and stay."""
