"""PostgreSQL: what must last."""
