"""Models of your own: dvc.yaml declares this folder, so that an edit here trains anew what it concerns."""
