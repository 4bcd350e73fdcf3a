"""The comparison of phantoms that a cluster made with those of one process."""

from pathlib import Path

from benchmarks.cluster import Made, differences, table


def test_a_file_that_differs_or_is_missing_is_named_wherever_it_lies(tmp_path: Path) -> None:
    for name, text in (("one", "a"), ("other", "b")):
        (tmp_path / name / "within").mkdir(parents=True)
        (tmp_path / name / "same").write_text("a")
        (tmp_path / name / "within" / "changed").write_text(text)
    (tmp_path / "other" / ".left").write_text("")

    assert differences(tmp_path / "one", tmp_path / "other") == [".left", "within/changed"]
    assert differences(tmp_path / "one", tmp_path / "one") == []


def test_the_table_says_who_made_how_many_and_what_was_tried_again() -> None:
    rows = [Made("one process", 20, 99.6), Made("two machines", 20, 61.2, ("a worker died over study 11 of 20",))]

    lines = "\n".join(table(rows, ["train.csv"]))

    assert "| one process | 20 | 100 | 0 |\n| two machines | 20 | 61 | 1 |" in lines
    assert lines.endswith("Files that differ: 1, train.csv.")
