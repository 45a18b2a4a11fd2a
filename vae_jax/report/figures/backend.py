"""Imports matplotlib even where the user's settings of it are broken. Import this module before matplotlib."""

import contextlib
import os

# matplotlib reads both as it is imported, and raises where the backend is unknown or the file is not text.
_users = {name: os.environ[name] for name in ("MPLBACKEND", "MATPLOTLIBRC") if name in os.environ}
os.environ |= {"MPLBACKEND": "", "MATPLOTLIBRC": os.devnull}
import matplotlib  # noqa: E402

del os.environ["MPLBACKEND"], os.environ["MATPLOTLIBRC"]
os.environ |= _users

# A notebook's own plots keep the user's settings; ours do not look at them.
with contextlib.suppress(Exception):
    matplotlib.rcParams.update(
        matplotlib.rc_params_from_file(matplotlib.matplotlib_fname(), use_default_template=False)
    )
with contextlib.suppress(Exception):
    matplotlib.rcParams["backend"] = _users["MPLBACKEND"] or matplotlib.rcParams["backend"]
