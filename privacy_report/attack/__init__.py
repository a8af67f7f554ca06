"""From outputs to scores and measures."""
