"""Short tools around the library, run from the root of the repository: `python -m scripts.NAME`."""
