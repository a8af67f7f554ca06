"""Models, epochs, differential privacy, a checkpoint's outputs. Only this package imports TensorFlow."""
