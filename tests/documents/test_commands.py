"""Commands in the documents are understood by the parser."""

import argparse
from functools import cache
from importlib import import_module

import pytest

from cspine.cli import COMMANDS
from cspine.errors import UsageError
from cspine.recipes import load_recipe, recipe_names
from cspine.training.core.settings import with_settings
from tests.documents.pages import MADE, Block, Page, commands, inline_commands, pages

PAGES = pages()
CALLS = [(block.place, words) for page in PAGES for block in page.blocks() for words in commands(block)]

_FOR_ANYTHING = {"KEY=VALUE", "...", "…"}


class MisunderstoodError(Exception):
    """A command that is not understood."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong instead of leaving."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raises what argparse would print."""
        raise MisunderstoodError(message)


@cache
def parser_of(command: str) -> Parser:
    """Returns the parser of a command."""
    if command not in COMMANDS:
        raise MisunderstoodError(f"there is no command {command}")
    parser = Parser(prog=f"cspine {command}")
    parser.add_argument("-v", "--verbose", action="store_true")
    import_module(f"cspine.cli.{command}").add_arguments(parser)
    return parser


def understand(words: list[str]) -> None:
    """Parses a call, and the settings that it gives to a recipe.

    Raises:
        MisunderstoodError: It would be refused.
    """
    command, *rest = words
    options = parser_of(command).parse_args(rest)
    if command == "train" and options.recipe in recipe_names():
        changes = dict(text.split("=", 1) for text in options.set or () if text not in _FOR_ANYTHING)
        with_settings(load_recipe(options.recipe), changes, on_data=options.data is not None)


def known_options(command: str) -> set[str]:
    """Returns every way to write an option of a command, its subcommands included."""
    parsers: list[argparse.ArgumentParser] = [parser_of(command)]
    for action in parsers[0]._actions:
        if isinstance(action, argparse._SubParsersAction):
            parsers += action.choices.values()
    return {way for parser in parsers for action in parser._actions for way in action.option_strings}


@pytest.mark.parametrize(("place", "words"), CALLS, ids=lambda part: part if isinstance(part, str) else " ".join(part[:2]))
def test_a_command_of_a_page_is_understood(place: str, words: list[str]) -> None:
    understand(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_the_text_exists_with_its_options(page: Page) -> None:
    for command, *rest in inline_commands(page):
        if command in ("package", "data"):
            continue
        assert command in COMMANDS, command
        given = {word.strip("[],.").split("=")[0] for word in rest if word.strip("[").startswith("--")}
        assert given <= known_options(command), (command, rest)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_that_somebody_wrote_shows_how_to_call_a_command(command: str) -> None:
    written = [page for page in PAGES if page.path.name not in MADE]

    assert [page.name for page in written for block in page.blocks() for words in commands(block) if words[0] == command] != []


@pytest.mark.parametrize(
    "line",
    [
        "cspine diagnose scan",
        "cspine detect scan --out OUT --format json --fast",
        "cspine train custom_cnn --data DIR -o RUN --set fit.epoch=3",
        "cspine train custom_cnn --data DIR -o RUN --set losses.maps=1",
        "cspine phantom OUT --studies many",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    (words,) = commands(Block("", line, runs=False, place="planted"))

    with pytest.raises((MisunderstoodError, UsageError)):
        understand(words)
