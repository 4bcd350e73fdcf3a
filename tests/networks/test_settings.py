from dataclasses import replace
from pathlib import Path

import pytest

from cspine.errors import UsageError
from cspine.networks.options import BackboneName, Learning, LearningStage
from cspine.networks.settings import CustomCNNSettings, PretrainedSettings, TransferSettings, UNetTransferSettings
from cspine.specs import SliceSpec

SPEC = SliceSpec(spacing_mm=(2.0, 2.0, 2.0), size=(64, 96), neighbours=1, window_hu=(-200.0, 1300.0))
DENSENET = TransferSettings(BackboneName.DENSENET121)
UNET = UNetTransferSettings(BackboneName.DENSENET121)


@pytest.mark.parametrize("settings", [DENSENET, UNET])
def test_the_heads_learn_first_and_then_the_end_of_the_backbone_with_them(settings: PretrainedSettings) -> None:
    tuned = replace(settings, head_epochs=3, tuned_from="conv5_block1_0_bn", tuned_rate=0.2)

    assert tuned.stages == (
        LearningStage(Learning.HEADS, epochs=3),
        LearningStage(Learning.TUNING, rate=0.2, tuned_from="conv5_block1_0_bn"),
    )
    assert [stage.learning for stage in replace(tuned, head_epochs=0).stages] == [Learning.TUNING]


def test_where_nothing_was_trained_before_everything_learns_at_once() -> None:
    assert replace(DENSENET, weights="none").stages == CustomCNNSettings().stages == (LearningStage(Learning.ALL),)


def test_only_networks_with_a_fracture_map_or_a_unet_have_further_outputs() -> None:
    three = ("fracture", "visible", "level_map")

    assert CustomCNNSettings().outputs == DENSENET.outputs == three
    assert replace(DENSENET, fracture_map=True).outputs == (*three, "fracture_map")
    assert replace(UNET, fracture_map=True).outputs == (*three, "maps", "fracture_map")


@pytest.mark.parametrize(
    ("settings", "spec", "message"),
    [
        (DENSENET, replace(SPEC, neighbours=2), r"Set input\.neighbours=1\. Received: 2"),
        (DENSENET, replace(SPEC, size=(64, 72)), r"multiples of 32, 64 at least\. Set input\.size\. Received: \(64, 72\)"),
        (DENSENET, replace(SPEC, size=(32, 64)), "64 at least"),
        (replace(UNET, widths=(2,) * 7), replace(SPEC, size=(96, 96)), "multiples of 64"),
        (replace(DENSENET, weights="nowhere.h5"), SPEC, r"There is no file nowhere\.h5; give another --weights"),
    ],
)
def test_what_a_network_cannot_see_is_told_before_anything_is_prepared(
    settings: PretrainedSettings, spec: SliceSpec, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        settings.check(spec)


def test_what_it_can_see_passes(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").touch()

    DENSENET.check(SPEC)
    replace(UNET, weights=str(tmp_path / "weights.h5")).check(SPEC)


@pytest.mark.parametrize("change", [{"head_epochs": -1}, {"tuned_rate": 0.0}])
def test_impossible_stages_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="head_epochs of 0 or more and a positive tuned_rate"):
        replace(DENSENET, **change)  # type: ignore[arg-type]


def test_a_layer_that_the_backbone_lacks_is_told_with_some_that_it_has() -> None:
    settings = replace(DENSENET, head_width=4, tuned_from="mixed7")

    with pytest.raises(UsageError, match=r"must be a layer of densenet121, for instance .*conv\d_block.*Received: mixed7"):
        settings.build(SPEC, seed=0)
