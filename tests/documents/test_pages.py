"""Pages are of one kind, short, wrapped, in the navigation, and lead where they say."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from cspine.recipes import describe_recipe, recipe_names
from tests.documents.pages import DOCS, KINDS, ROOT, Page, navigation, pages

PAGES = pages()
SITE = [page for page in PAGES if page.path.is_relative_to(DOCS)]
PACKAGES = ROOT / "src" / "cspine" / "modelpack" / "packages"
HEADLINES = ("AUROC of any fracture", "AUROC of a level", "Dice of C1..C7")
WORDS = 1500
BENCHMARK_WORDS, BENCHMARK_PROSE = 2500, 900
WIDTH = 120

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
every_page_of_the_site = pytest.mark.parametrize("page", SITE, ids=lambda page: page.name)


def faults_of_links(page: Page) -> list[str]:
    """Returns what is wrong with the links of a page."""
    faults = []
    for link in page.links():
        name, _, anchor = link.partition("#")
        path = (page.path.parent / name).resolve()
        if not path.exists():
            faults.append(f"{page.name}: there is no {link}")
        elif anchor and anchor not in (Page(path, path.read_text(encoding="utf-8")) if name else page).anchors:
            faults.append(f"{page.name}: no heading is called {link}")
    return faults


def long_lines(page: Page) -> list[str]:
    """Returns lines that could be wrapped and are not: rows of tables and single words cannot be."""
    lines = enumerate(page.text.splitlines(), 1)
    return [
        f"{page.name}:{number}: {len(line)} characters"
        for number, line in lines
        if len(line) > WIDTH and not line.lstrip().startswith(("|", "![", "<img")) and " " in line.strip()
    ]


def test_every_page_is_in_the_navigation_exactly_once() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    assert sorted(navigation(config)) == sorted(page.path.relative_to(DOCS).as_posix() for page in SITE)


def test_every_page_is_of_one_kind_and_stands_in_its_folder() -> None:
    assert {page.kind for page in SITE} == {"", *KINDS}
    assert sorted(page.path.name for page in SITE if page.kind == "") == ["benchmarks.md", "index.md"]


@every_page
def test_links_lead_somewhere(page: Page) -> None:
    assert faults_of_links(page) == []


@every_page
def test_lines_are_wrapped(page: Page) -> None:
    assert long_lines(page) == []


@every_page_of_the_site
def test_a_page_is_read_in_minutes(page: Page) -> None:
    if page.kind != "reference" and page.path.name != "benchmarks.md":
        assert len(page.text.split()) <= WORDS


@every_page_of_the_site
def test_a_page_begins_with_its_only_title(page: Page) -> None:
    assert page.text.startswith("# ")
    assert len(re.findall(r"^# ", page.prose, re.MULTILINE)) == 1


@every_page
def test_blocks_of_python_are_python(page: Page) -> None:
    for block in page.blocks():
        if block.language == "python":
            ast.parse(block.text, block.place)


def test_every_image_is_shown() -> None:
    shown = {Path(link).name for page in PAGES for link in page.links() if "images/" in link}

    assert {path.name for path in (DOCS / "images").iterdir()} == shown


def test_faults_are_found() -> None:
    planted = f"# Title\n\n[a](nowhere.md) [b](#nothing) [c](#title)\n\n{'long ' * 30}\n| {'cell ' * 30} |\n"
    page = Page(ROOT / "docs" / "planted.md", planted)

    assert faults_of_links(page) == ["docs/planted.md: there is no nowhere.md", "docs/planted.md: no heading is called #nothing"]
    assert [fault.split(": ")[0] for fault in long_lines(page)] == ["docs/planted.md:5"]


def test_every_part_of_the_benchmarks_names_its_command() -> None:
    (page,) = (page for page in SITE if page.path.name == "benchmarks.md")
    parts = re.split(r"^## ", page.text, flags=re.MULTILINE)[1:]

    assert len(parts) > 10
    assert [
        part.split("\n")[0] for part in parts if not re.search(r"python3? (-m )?benchmarks|cspine [a-z]+ |pytest tests/", part)
    ] == []


def test_the_benchmarks_are_tables_with_little_prose() -> None:
    (page,) = (page for page in SITE if page.path.name == "benchmarks.md")
    prose = [line for line in page.prose.splitlines() if not line.startswith("|")]

    assert len(re.findall(r"\S*[A-Za-z]\S*", page.text)) <= BENCHMARK_WORDS
    assert len(" ".join(prose).split()) <= BENCHMARK_PROSE
    assert [part.split("\n")[0] for part in re.split(r"^## ", page.text, flags=re.MULTILINE)[1:] if "\n|---|" not in part] == []


@pytest.mark.parametrize("path", sorted(PACKAGES.glob("*/manifest.json")), ids=lambda path: path.parent.name)
def test_the_benchmarks_have_the_figures_of_the_model_cards(path: Path) -> None:
    benchmarks = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    figures = json.loads(path.read_text(encoding="utf-8"))["training"]["figures"]
    headline = [_figure(**one) for one in figures if one["name"].startswith(HEADLINES)]

    assert headline
    assert [figure for figure in headline if figure not in benchmarks] == []


def _figure(value: float, low: float | None, high: float | None, name: str) -> str:  # as a manifest names them
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} ({low:.3f}-{high:.3f})"


@pytest.mark.parametrize("name", recipe_names())
def test_the_benchmarks_have_the_score_that_a_recipe_states(name: str) -> None:
    benchmarks = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", " ".join(describe_recipe(name).split()))

    assert figures
    assert [figure for figure in figures if figure.replace(" to ", "-") not in benchmarks] == []


def test_the_readme_has_no_figure_that_the_benchmarks_lack() -> None:
    benchmarks = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d\.\d+(?: \(\d\.\d+-\d\.\d+\))?", (ROOT / "README.md").read_text(encoding="utf-8"))
    measured = [figure for figure in figures if figure not in ("3.11", "2.0")]  # Python, Apache

    assert len(measured) >= 6
    assert [figure for figure in measured if figure not in benchmarks] == []


@every_page
def test_files_of_the_project_that_a_page_names_are_there(page: Page) -> None:
    paths = re.findall(r"(?<![\w/])((?:tests|src|benchmarks)/[\w./-]*\w)", page.text)
    modules = re.findall(r"python3? -m ((?:tests|benchmarks)(?:\.\w+)+)", page.text)

    assert [path for path in paths if not (ROOT / path).exists() and "NOTICE_" not in path] == []
    assert [name for name in modules if not list(ROOT.glob(name.replace(".", "/") + "*"))] == []
