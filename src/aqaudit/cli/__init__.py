"""The commands, in modules by what they are about. Each imports what it needs when it runs: ``--help`` is quick.

Exit codes: 0 done; 1 finished with failures, stopped by a limit, or a gate not passed; 2 bad input (one line on
standard error); 3 a gate that cannot tell.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import NoReturn

import typer

from aqaudit.cli import audit, data, info, probe, report, run, show
from aqaudit.cli.app import app, one_line
from aqaudit.core.records import BadInput

#: Exit code that typer gives a command interrupted by Ctrl-C.
_INTERRUPTED = 130
# typer exports this one of its parser's errors; what it derives from (UsageError) has moved between versions.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


# In the order of ``aqaudit --help``: single commands, then groups.
for command in (
    *(audit.audit, report.report, audit.compare, audit.gate, info.models, info.plugins),
    *(data.init, run.run, run.status, run.merge),
):
    app.command()(command)
for group in (data.data_app, probe.probe_app, report.export_app, show.media_app, show.prompts_app):
    app.add_typer(group)


def main() -> None:
    """Run the command line; bad input of any kind is one line on standard error and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A path or label that the terminal's encoding does not have is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        for argument in sys.argv[1:]:
            if any("\ud800" <= c <= "\udfff" for c in argument):
                shown = os.fsencode(argument).decode(errors="backslashreplace")
                raise BadInput(f"{shown}: is not UTF-8 text; rename the file")  # noqa: TRY301
        code = app(standalone_mode=False)
    except BadInput as error:
        _refuse(str(error))
    except _UsageError as error:
        _refuse(_usage(error))
    except BrokenPipeError:
        # The reader of our output has gone; what was asked is on disk.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        _refuse(f"{error.filename or 'output'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        sys.stderr.write("aqaudit: interrupted\n")
        code = 1
    sys.exit(code)


def _refuse(message: str) -> NoReturn:
    with suppress(AttributeError, OSError):  # standard error may be closed or full; the exit code still tells
        sys.stderr.write(f"aqaudit: {one_line(message)}\n")
        sys.stderr.flush()
    sys.exit(2)


def _usage(error: Exception) -> str:
    """Return a message of the option parser as one line that names the command and where its help is."""
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(context.get_help())
        return f"no command was given; see {context.command_path} --help"
    said = getattr(error, "format_message", error.__str__)().rstrip(".")
    command = context.command_path if context is not None else "aqaudit"
    return f"{said[:1].lower()}{said[1:]}; see {command} --help"
