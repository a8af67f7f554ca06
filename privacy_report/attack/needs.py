"""What an attack needs next to the labels: it decides what its function is called with."""

from __future__ import annotations

OUTPUTS = "outputs"
"""The target's outputs: a function of `Examples` that gives a score each."""
FEATURES = "features"
"""Features of the outputs: a function that trains attackers and scores those examples they did not see."""
EARLY = "early checkpoints"
"""The target's own earlier checkpoints: a function of its phi (n,) and theirs (k, n)."""
REFERENCES = "reference models"
"""The attacker's own models: a function of the target's phi (n,) and `references.References`."""
NEEDS = (OUTPUTS, FEATURES, EARLY, REFERENCES)
