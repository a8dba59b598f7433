"""Measurements of the running product, each with the conditions under which it was made."""
