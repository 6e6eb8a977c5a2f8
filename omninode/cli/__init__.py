"""The command line. Each group of verbs has its file, without logic, importing no more than `--help` needs.

Every failure ends as one sentence on standard error and a stable exit code (omninode.errors); `--debug` adds the trace.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from omninode.cli import cluster, demo, model, node, reproduce, session, srs
from omninode.errors import Exit, OmninodeError, UsageError, cause_of, exit_code_of

DEBUG = "OMNINODE_DEBUG"

app = typer.Typer(
    name="omninode", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Data owners improve a model for an owner they do not trust, and a contract pays them.",
)  # fmt: skip


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False) -> None:
    if debug:
        os.environ[DEBUG] = "1"


node.register(app)
app.add_typer(session.app, name="session")
app.add_typer(model.app, name="model")
app.add_typer(cluster.app, name="cluster")
app.add_typer(srs.app, name="srs")
app.add_typer(reproduce.app, name="reproduce")
demo.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Console script: run one verb and exit. arguments: without the program's name; None: the process's own."""
    try:
        code = app(args=arguments, prog_name="omninode", standalone_mode=False) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # `omninode ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = Exit.OK
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        code = report(error)
    sys.exit(int(code))


def report(error: BaseException) -> int:
    """Tell the user, in one sentence and what to do about it. Returns the exit code."""
    cause = _from_typer(cause_of(error))
    trace = "".join(traceback.format_exception(error)) if os.environ.get(DEBUG) else ""
    code, said = _in_words(cause)
    try:
        sys.stderr.write(trace + said)
        sys.stderr.flush()
    except (OSError, ValueError):  # the disk that the log is on is full: the exit code must still be the promised one
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return code


def _in_words(cause: BaseException) -> tuple[int, str]:
    """Exit code, and what to say."""
    if isinstance(cause, KeyboardInterrupt | typer.Abort):
        return Exit.INTERRUPTED, "\n"
    if isinstance(cause, OmninodeError):
        return int(cause.exit_code), f"omninode: {cause.problem}\n" + (f"    {cause.cure}\n" if cause.cure else "")
    code, said = exit_code_of(cause), f"omninode: {str(cause) or type(cause).__name__}\n"
    if code == Exit.FAILURE and not os.environ.get(DEBUG):
        said += f"    this looks like a defect ({type(cause).__name__}): omninode --debug shows where\n"
    return code, said


def _from_typer(error: BaseException) -> BaseException:
    if isinstance(error, typer.TyperException):
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help, already printed
            return UsageError("which verb?", "omninode --help lists them")
        describe = getattr(error, "format_message", error.__str__)
        return UsageError(describe().rstrip("."), "omninode --help, or --help after a verb")
    return error
