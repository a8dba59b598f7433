"""Media nodes: who they are, what they report, whether they live."""
