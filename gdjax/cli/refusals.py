"""Bad calls, told in one line."""

import sys
import traceback
from pathlib import Path
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from gdjax._util.errors import ArgumentError, first_line, said, unknown
from gdjax.cli.settings import RENAMED, renamed

NO_KEY = (ConfigKeyError, ConfigAttributeError)


def refuse(command: str, error: Exception) -> NoReturn:
    """Tell a bad call in one line, and leave with exit code 2."""
    # What lies behind an ArgumentError is told in it; Hydra's errors leave it to their cause.
    cause = None if isinstance(error, ArgumentError) else error.__cause__
    told = _told(command, error, cause)
    lines = str(told).splitlines() if told else f"{error}\n{cause or ''}".splitlines()
    message = "; ".join(dict.fromkeys(line.strip().rstrip(".") for line in lines if line.strip()))
    print(f"gdjax {command}: {message}", file=sys.stderr)
    sys.exit(2)


def not_composed(error: Exception) -> ArgumentError:
    """The error for what Hydra raises, in words of its own, while it composes a config."""
    return ArgumentError(f"these words make no config: {first_line(error):.300}")


def _out_of_memory(error: MemoryError) -> ArgumentError:
    """The error for an allocation that failed: NumPy names it, and Python's own the place."""
    places = [f for f in traceback.extract_tb(error.__traceback__) if "gdjax" in f.filename]
    where = f" in {places[-1].name} ({Path(places[-1].filename).name})" if places else ""
    return ArgumentError(f"out of memory{where}: {said(error)}")


def _told(command: str, error: Exception, cause: BaseException | None) -> ArgumentError | None:
    """What Hydra, OmegaConf or the disk complains of, in words of our own; None if theirs do."""
    if isinstance(error, MemoryError):
        return _out_of_memory(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        place = error.filename or "the outputs"
        return ArgumentError(f"cannot write to {place}: {error.strerror or error}")
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if command == "certify" and str(error).startswith("Multiple values for optimizer@"):
        return ArgumentError(
            "a pair of your own replaces the one given: ~pair +optimizer@a=adam +optimizer@b=adamw"
        )
    if isinstance(cause, NO_KEY) and isinstance(cause.parent_node, DictConfig):
        return _no_setting(str(cause.full_key), [str(k) for k in cause.parent_node if k != "hydra"])
    return None


def _unreadable(error: OverrideParseException) -> ArgumentError:
    """The error for a word that is no key=value; each version of Hydra frames it in its own way."""
    frame = ("Error ", "LexerNoViableAltException: ", "^", "See ")
    lines = [line.strip() for line in str(error).splitlines() if line]
    why = "; ".join(line for line in lines if not line.startswith(frame))
    return ArgumentError(f"cannot read {error.override} as key=value" + (why and f": {why}"))


def _no_setting(key: str, there: list[str]) -> ArgumentError:
    """The error for a setting that the config does not have, with how one is added."""
    if RENAMED.get(key) in there:
        return renamed(key)
    where, _, last = key.rpartition(".")
    error = unknown(f"setting of {where}" if where else "setting", last, there, every="there are")
    if where == "optimizers":
        return ArgumentError(f"{error}; another optimizer is +optimizer@{key}=adam")
    if where == "hyperparameters":
        return ArgumentError(
            f"{last} is no axis yet; a new axis takes a plus: +hyperparameters.{last}=[0.1,0.2]"
        )
    return error
