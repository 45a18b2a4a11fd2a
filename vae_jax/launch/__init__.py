"""The command `vae-jax`: flags, plan, sweeps, provenance."""
