"""Holds what the template of a study's page is given."""

from dataclasses import dataclass, field

from cspine.reporting.pages.pictures import Picture
from cspine.reporting.pages.stack import ViewerStack
from cspine.reporting.pages.tone import Tone


@dataclass(frozen=True, slots=True)
class StudyVerdict:
    """Holds what is said about the study.

    Attributes:
        tone: How it is coloured.
        title: In two or three words.
        sentences: What follows from it.
        probability: That any level is fractured; empty where nothing was assessed.
        range: Range over the passes of test-time augmentation; empty where there is but one, or all are the same.
        unsure: Whether they are not on the same side of the threshold.
        threshold: From where on it counts.
        point: The operating point.
    """

    tone: Tone
    title: str
    sentences: tuple[str, ...]
    probability: str = ""
    range: str = ""
    unsure: bool = False
    threshold: str = ""
    point: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the strip.

    Attributes:
        name: ``Any`` or a level.
        tone: How it is coloured.
        status: How much of it was assessed, in words.
        probability: For people; empty where nothing was assessed.
        range: Range over the passes of test-time augmentation; empty where there is but one, or all are the same.
        unsure: Whether they are not on the same side of the threshold.
        share: The same as a length, 0..100.
        threshold: For people; empty where nothing was assessed.
        threshold_share: The same as a length, 0..100.
        image: Number of the stored image to open first, as ``numbering`` of the page says, or ``None``.
        slice: Its place in the stack, or ``None``.
    """

    name: str
    tone: Tone
    status: str
    probability: str = ""
    range: str = ""
    unsure: bool = False
    share: float = 0.0
    threshold: str = ""
    threshold_share: float = 0.0
    image: int | None = None
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A level to look at.

    Attributes:
        cell: What the strip says about it.
        pictures: Its slices.
    """

    cell: Cell
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a list.

    Attributes:
        name: What.
        value: How much.
    """

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Window:
    """Says which Hounsfield units are seen as grey.

    Attributes:
        name: For people.
        low: What is black.
        high: What is white.
    """

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class StudyPage:
    """A page about one study.

    Attributes:
        name: What the user calls the study.
        verdict: What is said about it.
        disclaimer: What cspine is not.
        caution: Warning about what the model was trained on; may be empty.
        strip: ``Any`` and C1..C7; empty where nothing was assessed.
        numbering: How the stored images lie, and what their numbers are.
        panels: Levels to look at, the most suspicious first.
        alarm: Whether the panels are those above their threshold, or the nearest one below.
        seen: What a scan shows that was not assessed.
        scout: The spine from the side, as high as the stack.
        stack: The slices to scroll through.
        windows: What the stack can be seen in, the first one at first.
        notes: What to mind when reading the result.
        checks: What the scan was checked for, and passed.
        facts: The scan in numbers.
        model: The packages in words.
        figures: What was measured about the one that classifies.
        identifiers: Unique identifiers, if they were asked for.
    """

    name: str
    verdict: StudyVerdict
    disclaimer: str
    caution: str
    strip: tuple[Cell, ...]
    numbering: str
    panels: tuple[Panel, ...]
    alarm: bool
    seen: tuple[Picture, ...]
    scout: Picture | None
    stack: ViewerStack | None
    windows: tuple[Window, ...]
    notes: tuple[str, ...]
    checks: tuple[str, ...]
    facts: tuple[Fact, ...]
    model: tuple[Fact, ...]
    figures: tuple[Fact, ...]
    identifiers: tuple[Fact, ...] = field(default=())
