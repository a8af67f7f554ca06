"""Prepare: the dataset as plain arrays, and who in it is a member and who is not."""
