"""Records that were set aside, in the hands of operators."""
