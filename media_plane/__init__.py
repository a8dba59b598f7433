"""The media plane: nodes that forward media, and bots that decode it."""
