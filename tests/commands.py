"""The ``gdjax`` command within this process, which spares the seconds that it takes to load."""

import contextlib
import io
import logging
import os
import sys


def called(words, tracebacks="0"):
    """The command in this process: its exit code, what it prints, and what it complains of."""
    import absl.logging  # after the types of signatures are to be checked

    from gdjax import cli

    # Hydra's logging set-up closes all handlers, and absl's would close pytest's stream with it.
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
    root, out, err, code = logging.getLogger(), io.StringIO(), io.StringIO(), 0
    kept, argv, environment = root.handlers[:], sys.argv, dict(os.environ)
    sys.argv = ["gdjax", *words]
    os.environ["HYDRA_FULL_ERROR"] = tracebacks
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.command()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        for handler in set(root.handlers) - set(kept):
            root.removeHandler(handler)
            handler.close()
        root.handlers[:] = kept
    return code, out.getvalue(), err.getvalue()
