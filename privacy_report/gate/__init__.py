"""Which checkpoint may be shipped: a policy applied to the attacks' unfavourable interval ends."""
