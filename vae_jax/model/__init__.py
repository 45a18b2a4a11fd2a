"""The models: likelihoods, objectives, networks, and the program of a run."""
