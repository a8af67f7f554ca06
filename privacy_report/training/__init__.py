"""Models, epochs, differential privacy, and the outputs of a checkpoint. Only this package imports TensorFlow."""
