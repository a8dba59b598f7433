"""The control plane: decides who may be in which meeting, on which node, and tells everyone what happens."""
