"""Experiments that repeat published numbers. Each header has the command, the paper's numbers, ours, and the cost.

"Met" means: within the spread of our seeds and of independent reproductions, where there are any. A difference from the
published setting that we know of is stated; where the published code leaves a setting open, ours is.
"""
