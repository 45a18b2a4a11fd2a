"""Autoencoders against variational autoencoders in JAX/Flax: train, sweep, measure, compare."""
