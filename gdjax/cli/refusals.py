"""Bad calls, and what else ends a command, told in one line."""

import re
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from gdjax._util.errors import ArgumentError, ChunkError, first_line, said, unknown
from gdjax._util.files import whole
from gdjax.cli.settings import RENAMED, renamed

REFUSED = (ArgumentError, HydraException, OmegaConfBaseException, OSError)
UNMAPPED = "failed to map segment"  # of a library that no longer fits into the addresses
NO_KEY = (ConfigKeyError, ConfigAttributeError)


def refuse(command: str, error: Exception, folder: Path | None = None) -> NoReturn:
    """Tell what ended a command in one line, and leave with its exit code; see ``told``."""
    message, code = told(command, error, folder)
    print(f"gdjax {command}: {message}", file=sys.stderr)
    sys.exit(code)


def told(command: str, error: Exception, folder: Path | None = None) -> tuple[str, int]:
    """A bad call in one line, with exit code 2; with 1 what goes wrong where the call was good.

    Args:
        command: its name.
        error: what came out of it.
        folder: where the traceback of an error that nobody foresaw is written.
    """
    if not isinstance(error, REFUSED):
        return _failed(error, folder), 1
    # What lies behind an ArgumentError is told in it; Hydra's errors leave it to their cause.
    cause = None if isinstance(error, ArgumentError) else error.__cause__
    ours = _told(command, error, cause)
    lines = str(ours).splitlines() if ours else f"{error}\n{cause or ''}".splitlines()
    return "; ".join(dict.fromkeys(line.strip().rstrip(".") for line in lines if line.strip())), 2


def _failed(error: Exception, folder: Path | None) -> str:
    """What a person is told of an error that is no bad call: memory, or a fault in a program."""
    of_memory = str(error).startswith("RESOURCE_EXHAUSTED") or UNMAPPED in str(error)
    if isinstance(error, MemoryError) or of_memory:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"in {last.name}, {Path(last.filename).name}:{last.lineno}"
        return f"out of memory: {said(error) if str(error) else where}"
    if isinstance(error, ChunkError):
        return str(error)
    told = f"an error that gdjax did not foresee: {first_line(error)}"
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with whole(folder / "traceback.txt") as file:
                file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            return f"{told}; where it came from is in {file.with_name('traceback.txt')}"
        except OSError:  # a full disk must not hide it
            pass
    return f"{told}; HYDRA_FULL_ERROR=1 shows where it came from"


def not_composed(error: Exception) -> ArgumentError:
    """The error for what Hydra raises, in words of its own, while it composes a config."""
    return ArgumentError(f"these words make no config: {first_line(error):.300}")


def _told(command: str, error: Exception, cause: BaseException | None) -> ArgumentError | None:
    """What Hydra, OmegaConf or the disk complains of, in words of our own; None if theirs do."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        return _of_the_disk(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if match := re.match(r"Ambiguous value for argument '(\S+?)=(.*)'", str(error)):
        return ArgumentError(
            f"{match[1]} has several values: a list is {match[1]}=[{match[2]}], one job for each "
            f"of them -m {match[1]}={match[2]}"
        )
    if command == "certify" and str(error).startswith("Multiple values for optimizer@"):
        return ArgumentError(
            "a pair of your own replaces the one given: ~pair +optimizer@a=adam +optimizer@b=adamw"
        )
    if isinstance(cause, NO_KEY) and isinstance(cause.parent_node, DictConfig):
        return _no_setting(str(cause.full_key), [str(k) for k in cause.parent_node if k != "hydra"])
    return None


def _of_the_disk(error: OSError) -> ArgumentError:
    """The error for what the disk refuses; gdjax's own files say themselves where that happens.

    What is left to write then is Hydra's folder of a job, and text without a file.
    """
    frames = traceback.extract_tb(error.__traceback__)
    making = any(frame.name in ("mkdir", "makedirs") for frame in frames)
    told = "write to" if making or error.filename is None else "read"
    place = error.filename or "the outputs"
    return ArgumentError(f"cannot {told} {place}: {error.strerror or error}")


def _unreadable(error: OverrideParseException) -> ArgumentError:
    """The error for a word that is no key=value; each version of Hydra frames it in its own way."""
    frame = ("Error ", "LexerNoViableAltException: ", "^", "See ")
    lines = [line.strip() for line in str(error).splitlines() if line]
    if match := re.fullmatch(r"(\S+?)=\((.*)\)", str(error.override)):
        return ArgumentError(f"a list takes brackets: {match[1]}=[{match[2]}]")
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
