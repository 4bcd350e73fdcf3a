import json
from dataclasses import replace
from typing import Any

import pytest

from cspine.errors import PackageError
from cspine.modelpack import Calibration, LocaliserManifest, NetworkFile, OperatingPoint, SliceManifest, VertebraManifest
from cspine.modelpack.manifest import read_manifest
from cspine.specs import RefinerSpec, VertebraSpec, VolumeSpec
from tests.coded import coded_manifest


def test_a_manifest_survives_the_way_to_json_and_back() -> None:
    manifest = replace(coded_manifest(), checksums={"a.xml": "00"})

    assert SliceManifest.from_json(manifest.to_json()) == manifest


def test_an_unknown_and_a_missing_key_are_named() -> None:
    data = json.loads(coded_manifest().to_json())
    data["colour"] = data.pop("version")

    with pytest.raises(PackageError, match="unknown: colour; missing: version"):
        SliceManifest.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 3, r"manifest\.version must be str. Received: 3"),
        ("networks", [{"role": "slices"}], r"manifest\.networks\[0\] must have exactly these keys"),
        ("training_data", "rumours", r"manifest\.training_data must be TrainingData"),
        ("calibration", [1, 2], r"manifest\.calibration must be a JSON object"),
        ("schema_version", "99", "schema 1 and kind slices. Received: schema 99"),
        ("kind", "dreams", "kind dreams. Use the cspine that wrote the package"),
        ("name", "My Model", "lower-case letters, digits, _ and - only. Received: 'My Model'"),
        ("default_point", "bold", "coded has the operating points balanced, rule_out. Received: bold"),
        ("pooling", "by_eye", "pools slices by .* Received: by_eye"),
        ("networks", [], "of kind slices has one network, in that role"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any, message: str) -> None:
    data = json.loads(coded_manifest().to_json()) | {key: value}

    with pytest.raises(PackageError, match=message):
        SliceManifest.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        ("spec", "window_hu", [1, 2, 3], r"manifest\.spec\.window_hu must be tuple"),
        ("spec", "window_hu", [9, 1], "needs voxels of .* and a rising window"),
        ("spec", "neighbours", True, r"manifest\.spec\.neighbours must be int. Received: True"),
        ("quality", "thickest_mm", "5", r"manifest\.quality\.thickest_mm must be float"),
    ],
)
def test_a_wrong_value_deep_inside_is_named(where: str, key: str, value: Any, message: str) -> None:
    data = json.loads(coded_manifest().to_json())
    data[where][key] = value

    with pytest.raises(PackageError, match=message):
        SliceManifest.from_json(json.dumps(data))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(PackageError, match=r"manifest\.json must describe a model package"):
        SliceManifest.from_json("hello")


def test_thresholds_are_eight_probabilities() -> None:
    with pytest.raises(PackageError, match="needs 8 thresholds in"):
        OperatingPoint("bold", (0.5,) * 7)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(PackageError, match=r"must be f32, bf16 or f16\. Received: f64"):
        replace(coded_manifest().networks[0], precision="f64")


def _localiser(**changes: Any) -> LocaliserManifest:
    facts = json.loads(coded_manifest().to_json())
    kept = ("name", "version", "trained_on", "intended_use")
    return LocaliserManifest(
        **{key: facts[key] for key in kept},
        kind="localiser",
        training_data=coded_manifest().training_data,
        training=coded_manifest().training,
        networks=(NetworkFile("coarse", "coarse.xml", ("levels",)),),
        coarse=VolumeSpec((2.5, 2.5, 2.5), (64, 80, 80), (-300.0, 1300.0)),
        **changes,
    )


def test_the_manifest_of_a_localiser_survives_the_way_to_json_and_back() -> None:
    assert read_manifest(_localiser().to_json()) == _localiser()
    assert read_manifest(coded_manifest().to_json()) == coded_manifest()


def _vertebrae(**changes: Any) -> VertebraManifest:
    coded = coded_manifest()
    kept = ("name", "version", "operating_points", "default_point", "training_data", "trained_on", "intended_use", "training")
    given = {
        **{key: getattr(coded, key) for key in kept},
        "kind": "vertebrae",
        "networks": (NetworkFile("vertebrae", "vertebrae.xml", ("overall", "fracture", "fracture_map", "attention")),),
        "calibration": Calibration.identity(),
        "spec": VertebraSpec((1.0, 0.5, 0.5), 12, (32, 32), 4, 1, (-200.0, 1800.0)),
    }
    return VertebraManifest(**{**given, **changes})


def test_the_manifest_of_a_package_that_predicts_vertebrae_survives_the_way_to_json_and_back() -> None:
    manifest = _vertebrae(tta_passes=1)

    found = read_manifest(manifest.to_json())

    assert found == manifest
    assert isinstance(found, VertebraManifest)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tta_passes": 3}, r"tta_passes must be 1 .* or 2 .* Received: 3"),
        ({"networks": coded_manifest().networks}, "of kind vertebrae has one network, in that role"),
        ({"kind": "slices"}, "kind vertebrae. Received: schema 1, kind slices"),
    ],
)
def test_a_manifest_of_vertebrae_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PackageError, match=message):
        _vertebrae(**changes)


def test_a_localiser_has_a_network_for_each_of_its_inputs() -> None:
    with pytest.raises(PackageError, match=r"networks in the roles \['coarse', 'fine'\]"):
        _localiser(fine=RefinerSpec((1.25, 1.25, 1.25), (48, 64, 64), (-300.0, 1300.0)))


@pytest.mark.parametrize("text", ["[]", "{", '{"kind": "dreams"}'])
def test_a_package_of_no_known_kind_is_refused(text: str) -> None:
    with pytest.raises(
        PackageError, match=r"must describe a model package|of kind slices or vertebrae or localiser\. Received: dreams"
    ):
        read_manifest(text)


@pytest.mark.parametrize("hu_ceiling", [0.0, -0.6, float("nan")])
def test_a_hu_ceiling_is_above_nothing(hu_ceiling: float) -> None:
    with pytest.raises(PackageError, match=r"hu_ceiling must be above 0; 1\.0 suits networks of cspine"):
        _localiser(hu_ceiling=hu_ceiling)


def test_a_study_is_flagged_exactly_when_a_level_is_at_every_operating_point() -> None:
    calibration = replace(Calibration.identity(), intercepts=(1.0, *(0.0,) * 7))
    agreeing = (float(calibration.any_fracture(0.3)), *(0.3,) * 7)

    replace(coded_manifest(), calibration=calibration, operating_points=(OperatingPoint("balanced", agreeing),))

    for thresholds in ((0.5, *(0.3,) * 7), (agreeing[0], 0.2, *(0.3,) * 6)):
        with pytest.raises(PackageError, match="a study is flagged exactly when a level is"):
            replace(coded_manifest(), calibration=calibration, operating_points=(OperatingPoint("balanced", thresholds),))


def test_thresholds_rise_from_ruling_out_to_ruling_in() -> None:
    rising = [OperatingPoint(name, (t,) * 8) for name, t in (("rule_out", 0.1), ("balanced", 0.2), ("rule_in", 0.2))]

    replace(coded_manifest(), operating_points=(rising[1], rising[0], rising[2]))

    with pytest.raises(PackageError, match="must rise from rule_out to balanced to rule_in"):
        replace(coded_manifest(), operating_points=(rising[1], rising[0], OperatingPoint("rule_in", (0.15,) * 8)))
