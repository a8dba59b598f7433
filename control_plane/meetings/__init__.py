"""Meetings as they are planned."""
