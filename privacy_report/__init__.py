"""Which checkpoint may be shipped? The library of the membership-inference audit."""
