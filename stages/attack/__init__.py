"""attack: who can be told apart? Score files in, tidy rows with intervals out (no TensorFlow)."""
