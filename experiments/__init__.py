"""Experiments as data: each module defines a question, grids of runs and a list of figures as `EXPERIMENT`."""
