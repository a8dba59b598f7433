"""What every part stands on: pure, without input and output."""
