"""Entities, state machines and errors: pure, standard library only."""
