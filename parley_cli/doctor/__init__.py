"""`parley doctor`: is everything there, and does a real call work?"""
