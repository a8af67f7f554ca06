"""Stage train: the target models' training, with a checkpoint each few epochs."""
