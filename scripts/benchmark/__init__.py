"""Speed as ratios that are measured in one call: `python -m scripts.benchmark NAME`; see `__main__`."""
