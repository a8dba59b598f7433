"""What the control plane measures of itself."""
