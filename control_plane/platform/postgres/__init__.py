"""PostgreSQL, and what of it belongs to no capability."""
