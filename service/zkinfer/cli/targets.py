"""Python objects named on the command line as `module:attribute`, as web servers take their applications."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def find(target: str) -> Any:  # noqa: ANN401 - whatever the user named
    """Import the module, from the current directory first, and look the attribute up; dots may lead into objects.

    Raises:
        InputError: no colon, no such module or attribute, or the module raises an exception.
    """
    from zkinfer.circuits.errors import InputError

    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise InputError(f"{target!r} is not module:callable.", "For make_model in net.py, write net:make_model.")
    if module_name.endswith(".py") or "/" in module_name:
        name = Path(module_name).stem
        raise InputError(f"{module_name!r} is a file, not a module.", f"From its folder, write {name}:{path}.")
    module = _imported(module_name)
    try:
        return reduce(getattr, path.split("."), module)
    except AttributeError as err:
        raise InputError(f"Module {module_name!r} has no attribute {path!r}.", "Check the spelling.") from err


def _imported(name: str) -> object:
    from zkinfer.circuits.errors import InputError

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with foreign(f"Importing {name!r} fails"):
            return importlib.import_module(name)
    except InputError as err:
        missing = err.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{name}.".startswith(f"{missing.name}."):
            raise InputError(f"There is no module {name!r}.", f"Looked in {here} and on Python's path.") from missing
        raise


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Turn whatever the user's code raises into InputError: it can be anything, `sys.exit` included."""
    from zkinfer.circuits.errors import InputError, ZkinferError

    try:
        yield
    except ZkinferError:
        raise
    except (Exception, SystemExit) as err:
        raise InputError(f"{what}: {_said(err)}", _place(err)) from err


def _said(err: BaseException) -> str:
    first = next(iter(str(err).splitlines()), "")[:300]
    return f"{type(err).__name__}: {first}" if first else f"{type(err).__name__}."


def _place(err: BaseException) -> str:
    """The innermost line of the user's own code: of a file below the current directory."""
    trace, found = err.__traceback__, ""
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if Path.cwd() in file.parents and "site-packages" not in file.parts:
            found = f"At {file.relative_to(Path.cwd())}, line {trace.tb_lineno}."
        trace = trace.tb_next
    return found
