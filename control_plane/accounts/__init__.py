"""Accounts, guests and their sign-ins."""
