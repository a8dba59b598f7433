"""Rooms of meetings on media nodes."""
