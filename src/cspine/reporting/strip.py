"""The probabilities of a study as a strip of bars, C1 to C7."""

from matplotlib.axes import Axes

from cspine.reporting.style import BACKGROUND, FAINT, INK, MARK, QUIET, shade
from cspine.reporting.words import STATUS_WORDS, percent, span
from cspine.results import Assessment, LevelStatus, StudyResult

_LINE = 0.13
"""Height of a line of words above a bar, where a bar of 100 % has 1."""

_WIDTH = 0.62
_OVERALL_AT = -1.5


def draw_strip(axes: Axes, result: StudyResult) -> None:
    """Draws one bar per level, the whole study left of them; a short line marks each threshold."""
    bars: list[tuple[float, Assessment | None, str]] = [(_OVERALL_AT, result.overall, "" if result.overall else "not assessed")]
    for place, finding in enumerate(result.levels):
        bars.append((place, finding.assessment, "" if finding.status is LevelStatus.ASSESSED else STATUS_WORDS[finding.status]))
    _draw_frame(axes, max(len(_lines(assessment, status)) for _, assessment, status in bars))
    for bar in bars:
        _draw_bar(axes, *bar)
    names = [_name("any", result.overall), *(_name(finding.level.name, finding.assessment) for finding in result.levels)]
    axes.set_xticks([_OVERALL_AT, *range(len(result.levels))], names)
    axes.tick_params(axis="x", colors=INK, labelsize=12, length=0, pad=5)


def _lines(assessment: Assessment | None, status: str) -> list[str]:
    """Returns what stands above a bar."""
    if assessment is None:
        return []
    seen = span(assessment)
    return [percent(assessment.probability), *([f"({seen})"] if seen else []), *([status] if status else [])]


def _draw_frame(axes: Axes, lines: int) -> None:
    axes.set_facecolor(BACKGROUND)
    axes.set_xlim(-2.1, 6.6)
    axes.set_ylim(0, 1.07 + 0.11 * lines)
    axes.set_yticks([0, 0.5, 1], ["0", "50", "100 %"])
    axes.tick_params(axis="y", colors=QUIET, labelsize=9, length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title("Probability of a fracture; the short line is the threshold", color=INK, fontsize=11.5, loc="left", pad=4, y=1.0)


def _name(name: str, assessment: Assessment | None) -> str:
    return name if assessment is None or assessment.sure else f"{name}, unsure"


def _draw_bar(axes: Axes, place: float, assessment: Assessment | None, status: str) -> None:
    half = _WIDTH / 2
    if assessment is None:
        axes.text(place, 0.06, status.replace(" ", "\n", 1), color=QUIET, fontsize=9.5, ha="center", va="bottom", style="italic")
        return
    partly = "////" if status else None
    height = max(assessment.probability, 0.006)
    axes.bar(place, height, _WIDTH, color=shade(assessment), hatch=partly, edgecolor=BACKGROUND, linewidth=0)
    axes.plot((place - half - 0.08, place + half + 0.08), (assessment.threshold,) * 2, color=MARK, linewidth=1.6)
    lines, above = _lines(assessment, status), height + 0.03
    if above - 0.04 < assessment.threshold < above + _LINE * len(lines):
        above = assessment.threshold + 0.04
    axes.text(
        place,
        min(above, 1.03),
        "\n".join(lines),
        color=INK,
        fontsize=10.5,
        ha="center",
        va="bottom",
        linespacing=1.0,
        bbox={"facecolor": BACKGROUND, "edgecolor": "none", "pad": 0.6},  # lines of the scale end at words
    )
