"""What the commands share: how they end when what they were given cannot be used, and how they read a configuration."""

from __future__ import annotations

import difflib
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TypeVar

EX_DATAERR, EX_NOINPUT, EX_IOERR, EX_CONFIG = 65, 66, 74, 78
#: What the system has against a path that a command was given.
_UNREADABLE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
_KINDS = {"int": int, "float": (int, float), "str": str, "bool": bool, "list[int]": list}

T = TypeVar("T")


class InputError(ValueError):
    """What is wrong with what a command was given, where, and what to do, in one sentence."""

    code = EX_DATAERR


class MissingError(InputError):
    """The same of something that is not there."""

    code = EX_NOINPUT


class SettingsError(InputError):
    """The same of a configuration or an option."""

    code = EX_CONFIG


def ended(work: Callable[[Namespace], None], arguments: Namespace) -> int:
    """Does the work and returns the exit status; what is wrong with the input is one sentence on stderr."""
    program = Path(sys.argv[0]).name
    try:
        work(arguments)
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        if error.filename is None:
            print(f"{program}: {error}; check the disk.", file=sys.stderr)
            return EX_IOERR
        print(f"{program}: {error.filename}: {error.strerror}; check the path and its permissions.", file=sys.stderr)
        return EX_NOINPUT if isinstance(error, _UNREADABLE) else EX_IOERR
    return 0


def warn(sentences: Iterable[str]) -> None:
    """Each sentence on a line of its own on stderr."""
    for sentence in sentences:
        print(f"warning: {sentence}", file=sys.stderr)


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that is most like it, in brackets; nothing where none is like it."""
    found = difflib.get_close_matches(name, list(names), 1, 0.75)
    return f" (nearest: {found[0]})" if found else ""


def read_json(path: Path) -> dict:
    """The object that a JSON file holds."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path} holds no JSON object.")
    return found


def configured(kind: type[T], section: object, where: str) -> T:
    """A dataclass with the values of a section of a configuration; `where` names the section."""
    if not isinstance(section, dict):
        raise SettingsError(f"{where} is missing or no JSON object.")
    known = {field.name: field for field in fields(kind)}
    for name, value in section.items():
        if name not in known:
            raise SettingsError(f"{where} has the unknown key {name}{nearest(name, known)}.")
        wanted = str(known[name].type)
        numbers = value if wanted == "list[int]" and isinstance(value, list) else []
        if not isinstance(value, _KINDS[wanted]) or isinstance(value, bool) != (wanted == "bool") or not all(type(n) is int for n in numbers):
            raise SettingsError(f"{where} has {name} = {json.dumps(value)}, expected {wanted}.")
    for name, field in known.items():
        if name not in section and field.default is MISSING and field.default_factory is MISSING:
            raise SettingsError(f"{where} lacks the key {name}.")
    return kind(**section)
