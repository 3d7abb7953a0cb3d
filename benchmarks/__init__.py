"""What is claimed about speed, each as a ratio against a floor measured in the same run."""
