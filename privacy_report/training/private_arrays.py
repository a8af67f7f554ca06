"""The names of what self-check and gradient canaries leave in the state of a private epoch."""

FINGERPRINTS, P_VALUES = "check/fingerprints", "check/p"
SCORES, COINS = "canaries/score", "canaries/is_member"
