"""Runs a node of an image network: scans come in, results go back to archives, people work from a list.

Without a configuration it serves this machine only: DICOM at 127.0.0.1:11112, pages at http://127.0.0.1:8080, and everything it
keeps in the folder cspine-node. It needs the extra serve. Research software, not a medical device.
"""

import argparse
import getpass
import logging
import sys
from pathlib import Path

from cspine.errors import InputError, UsageError, one_line
from cspine.node.config import Config
from cspine.node.config_file import parse_config, read_config
from cspine.node.logs import log_to_stderr
from cspine.node.store import Role, open_store
from cspine.node.store.audit import Entry, record
from cspine.node.store.users import disable_user, put_token, put_user
from cspine.node.supervising.checking import check
from cspine.node.supervising.lifeline import GRACE_S, stop_when_asked
from cspine.node.supervising.roles import RoleName, run_role
from cspine.node.supervising.supervisor import Supervisor

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML (default: this machine only)")
    parser.add_argument(
        "--role",
        choices=[role.value for role in RoleName],
        help="run this part only, for several machines that share a folder and a PostgreSQL",
    )
    parser.add_argument(
        "--check", action="store_true", help="check the configuration, ask the archives whether they are there, and end"
    )
    parser.add_argument(
        "--add-user", metavar="NAME", help="add a user, or change one, and end; the password comes from the terminal or a pipe"
    )
    parser.add_argument("--add-token", metavar="NAME", help="add a token for a program, print it once, and end")
    parser.add_argument("--remove-user", metavar="NAME", help="let a user or a token in no more, at once, and end")
    parser.add_argument(
        "--user-role", choices=["reader", "admin"], default="reader", help="what the added user may do (default: reader)"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    config = parse_config({}, Path.cwd()) if options.config is None else read_config(options.config)
    if options.check:
        return _check(config)
    if options.add_user or options.add_token or options.remove_user:
        return _add(config, options)
    log_to_stderr(options.role or "node", verbose=options.verbose)
    stop = stop_when_asked() if options.role else stop_when_asked(2 * GRACE_S)  # the supervisor outlives those it waits for
    try:
        if options.role is not None:
            run_role(RoleName(options.role), config, stop)
        else:
            Supervisor(config, options.config).run(stop)
    except (InputError, ModuleNotFoundError):
        raise
    except Exception:  # the text of an error may quote an image, so that it is logged without
        _log.exception("a fault of cspine")
        return 1
    return 0


def _check(config: Config) -> int:
    """Says what is fit and what is not; the exit code is that of wrong input where anything is not."""
    sound = True
    for checked in check(config):
        sys.stdout.write(f"{checked.what}: {'ok' if checked.problem is None else checked.problem}\n")
        sys.stdout.flush()
        sound = sound and checked.problem is None
    return 0 if sound else 2


def _add(config: Config, options: argparse.Namespace) -> int:
    store = open_store(config.node.database, config.node.data)
    try:
        if options.add_user:
            put_user(store, options.add_user, Role(options.user_role), _password())
            record(store, Entry("node", "user added", options.add_user, options.user_role))
        if options.add_token:
            sys.stdout.write(f"{put_token(store, options.add_token)}\n")
            record(store, Entry("node", "token added", options.add_token))
        if options.remove_user:
            if not disable_user(store, options.remove_user):
                raise UsageError(f"--remove-user needs a user or token that exists. Received: {one_line(options.remove_user, 60)}.")
            record(store, Entry("node", "user removed", options.remove_user))
    finally:
        store.close()
    return 0


def _password() -> str:
    """Reads a password, twice where somebody types it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("Both passwords must be the same. Received two. Try again.")
    return password
