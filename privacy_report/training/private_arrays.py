"""What self-check and gradient canaries leave in the state of a private epoch: names, and what they mean."""

FINGERPRINTS, P_VALUES = "check/fingerprints", "check/p"
SCORES, COINS = "canaries/score", "canaries/is_member"
LEVEL = 1e-6
"""Chance that a sound run is ended by any check in any epoch."""
CHECKS = (
    "clipping",
    "recomputed",
    "sampling sizes",
    "sampling examples",
    "repeated noise",
    "noise of successive steps",
    "noise and the first step's",
    "noise of different variables",
    "divisor",
    "noise of a variable",
    "noise of the epoch",
    "noise of a step",
)
"""In the order in which they are named when several fail: causes before what they cause."""
