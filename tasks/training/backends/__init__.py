"""Where a training job runs; what is trained never depends on it."""
