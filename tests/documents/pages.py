"""The documents as data: pages, their links, their blocks of code, the navigation of the site."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KINDS = ("tutorials", "how-to", "reference", "explanation")
MADE = ("cli.md", "settings.md", "real-data.md")
"""Pages that a program writes; what they show, nobody has described."""

_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_FENCE = re.compile(r"^(\s*)```(\w*)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        language: What stands behind the fence; empty where nothing does.
        text: The code, without the indentation of the fence.
        runs: Whether the comment ``<!-- runs -->`` stands before it: a test executes it.
        place: Page and line, for messages.
    """

    language: str
    text: str
    runs: bool
    place: str


@dataclass(frozen=True, slots=True)
class Page:
    """One document.

    Attributes:
        path: Where it is.
        text: All of it.
    """

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path inside the project."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def kind(self) -> str:
        """Returns the kind of page, which is its folder under ``docs``; empty for those at its top."""
        return self.path.parent.name if self.path.parent != DOCS else ""

    @property
    def prose(self) -> str:
        """Returns the text without blocks of code."""
        return re.sub(r"^\s*```.*?^\s*```\s*?$", "", self.text, flags=re.DOTALL | re.MULTILINE)

    @property
    def anchors(self) -> set[str]:
        """Returns what a link to a part of the page may name."""
        heads = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}

    def links(self) -> Iterator[str]:
        """Yields every link and image inside the project."""
        for match in _LINK.finditer(self.prose):
            target = match[1] or match[2]
            if not re.match(r"https?:|mailto:", target):
                yield target

    def blocks(self) -> Iterator[Block]:
        """Yields the blocks of code."""
        lines, begun, before = self.text.splitlines(), None, ""
        for number, line in enumerate(lines, 1):
            fence = _FENCE.match(line)
            if fence and begun is None:
                begun = (number, len(fence[1]), fence[2], before)
            elif fence and begun is not None:
                start, indent, language, marked = begun
                text = "\n".join(row[indent:] for row in lines[start : number - 1])
                yield Block(language, text, marked.strip() == "<!-- runs -->", f"{self.name}:{start}")
                begun = None
            if begun is None and line.strip():
                before = line


def pages() -> list[Page]:
    """Returns every document that people read, but for the changelog and the model cards."""
    paths = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    return [Page(path, path.read_text(encoding="utf-8")) for path in sorted(paths) if path.name != "CHANGELOG.md"]


def navigation(config: dict[str, Any]) -> list[str]:
    """Returns the pages that the navigation of the site names, in its order."""

    def leaves(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from leaves(part)

    return list(leaves(config["nav"]))


def commands(block: Block) -> Iterator[list[str]]:
    """Yields the calls of cspine in a block of code, as words, the command first."""
    if block.language not in ("", "bash", "sh", "console"):
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        if re.match(r"(\$ )?cspine [a-z]+( |$)", line):
            yield shlex.split(line.removeprefix("$ "), comments=True)[1:]


def inline_commands(page: Page) -> Iterator[list[str]]:
    """Yields the calls of cspine that stand in backticks in the text, as words, the command first."""
    for text in re.findall(r"`cspine ([a-z][^`]*)`", page.prose.replace("\n", " ")):
        yield text.replace("\\|", "|").split()
