"""From a model's outputs to scores, and from scores to measures with intervals."""
