"""`python -m vae_jax` is the command `vae-jax`."""

from vae_jax.launch.launcher import command_line

if __name__ == "__main__":
    command_line()
