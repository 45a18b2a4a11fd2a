"""Training: the step, a run and its files, checkpoints and chunks."""
