"""The one-line message of an expected error."""

import pytest

from vae_jax.errors import UserError


def refusal(call, *args, kind=UserError, **keywords):
    """Returns the one line of the error of this kind that a call raises."""
    with pytest.raises(kind) as caught:
        call(*args, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    return message
