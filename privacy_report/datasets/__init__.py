"""Where the examples come from, and who of them is a member."""
