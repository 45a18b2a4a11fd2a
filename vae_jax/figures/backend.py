"""Imports matplotlib even where the user's settings of it are broken. Import this module before matplotlib."""

import contextlib
import os

# matplotlib reads both as it is imported, and raises where the backend is unknown or the file is not text.
_CLEAN = {"MPLBACKEND": "", "MATPLOTLIBRC": os.devnull}
_users = {name: os.environ.get(name) for name in _CLEAN}
os.environ.update(_CLEAN)
try:
    import matplotlib
finally:
    for _name, _value in _users.items():
        if _value is None:
            del os.environ[_name]
        else:
            os.environ[_name] = _value

# A notebook's own plots keep the user's settings; ours do not look at them.
with contextlib.suppress(Exception):
    _file = matplotlib.matplotlib_fname()
    matplotlib.rcParams.update(matplotlib.rc_params_from_file(_file, use_default_template=False))
with contextlib.suppress(Exception):
    if _users["MPLBACKEND"]:
        matplotlib.rcParams["backend"] = _users["MPLBACKEND"]
