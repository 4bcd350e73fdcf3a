import pytest

from cspine.errors import UsageError
from cspine.node.rules import parse_condition

_HEAD = {"BodyPartExamined": "HEAD", "StudyDescription": "CT Neck w/o", "images": "120", "SliceThickness": "0.75", "source": "CT1"}


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("BodyPartExamined = 'HEAD'", True),
        ("BodyPartExamined = 'head'", True),
        ("BodyPartExamined != 'HEAD'", False),
        ("BodyPartExamined = 'HEA'", False),
        ("StudyDescription ~ 'spine|neck'", True),
        ("StudyDescription !~ 'spine|neck'", False),
        ("BodyPartExamined = 'HEAD' and not StudyDescription ~ 'spine|neck'", False),
        ("BodyPartExamined = 'LEG' or images >= 120", True),
        ("images < 120", False),
        ("images <= 120 and images > 119.5", True),
        ("SliceThickness < 1", True),
        ("SliceThickness = 0.750", True),
        ("KVP < 100", False),
        ("not KVP < 100", True),
        ("KVP = ''", True),
        ("not (source = 'CT1' and images = 120)", False),
        ("not source = 'CT2' and source = \"CT1\"", True),
        ("source = 'CT1' or source = 'CT2' and images = 1", True),
        ("(source = 'CT1' or source = 'CT2') and images = 1", False),
        ("source='CT1'AND images=120", True),
    ],
)
def test_a_condition_fits_as_it_reads(condition: str, fits: bool) -> None:
    assert parse_condition(condition).fits(_HEAD) is fits


def test_a_condition_names_what_it_asks_for() -> None:
    assert parse_condition("not (images > 3 or site = 'ER') and KVP = 100").names() == {"images", "site", "KVP"}


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", r"^rule\.if needs the name of an attribute at character 1\. Received: its end\. Correct the condition\.$"),
        ("BodyPart = 'HEAD'", r"needs a DICOM keyword or one of images, site, source at character 1\. Received: BodyPart = 'HEAD'"),
        ("images", r"needs a comparison at character 7\. Received: its end"),
        ("images ( 3", r"needs a comparison at character 8\. Received: \( 3"),
        ("images = HEAD", r"needs text in quotes or a number at character 10\. Received: HEAD"),
        ("images < 'few'", r"needs a number at character 10\. Received: 'few'"),
        ("source ~ '('", r"needs a regular expression at character 10\. Received: '\('"),
        ("images = 3 images = 4", r"needs 'and', 'or' or its end at character 12\. Received: images = 4"),
        ("(images = 3", r"needs '\)' at character 12\. Received: its end"),
        (
            "images = 3; import os",
            r"needs a name, a comparison, text in quotes or a number at character 11\. Received: ; import os",
        ),
        ("__import__('os')", r"needs a name, a comparison, text in quotes or a number at character 1\."),
        ("source = 'CT1", r"needs a name, a comparison, text in quotes or a number at character 9\. Received:  'CT1"),
        ("not " * 40 + "images = 1", r"needs at most 32 brackets and 'not' within one another"),
        ("(" * 40, r"needs at most 32 brackets and 'not' within one another"),
        ("images = 1" + " " * 2000, r"^rule\.if needs a condition of at most 2000 characters\. Received: 2010\. Shorten it\.$"),
    ],
)
def test_a_condition_that_cannot_be_read_is_told_with_its_place(condition: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_condition(condition)
