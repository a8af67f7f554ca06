"""Stage score: what each checkpoint says about every member and non-member."""
