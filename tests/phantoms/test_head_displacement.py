import numpy as np

from cspine.anatomy import Level
from cspine.phantoms.model.head_displacement import displace_head
from cspine.phantoms.model.injuries import sample_injury
from tests.phantoms.necks import altered, plain_neck, sites_of


def broken(kind: str, severity: float):  # type: ignore[no-untyped-def]
    injury = sample_injury(np.random.default_rng(6), Level.C2, sites_of(Level.C2), kind, severity)
    return injury, {bone.name: bone for bone in displace_head(altered(Level.C2, injuries=(injury,)).bones)}


def test_the_atlas_keeps_its_place_about_a_dens_that_moved() -> None:
    injury, bones = broken("odontoid_type_2", 1.0)
    tip = sites_of(Level.C2).dens_tip
    now = tip + (tip - injury.undo(tip.astype(np.float32)[:, None])[:, 0])  # where the tip went, to first order
    before = plain_neck().bone("C1").pose.own_matrix @ (bones["C2"].pose.to_world(tip) - plain_neck().bone("C1").pose.centre)
    after = bones["C1"].pose.own_matrix @ (bones["C2"].pose.to_world(now) - bones["C1"].pose.centre)

    assert injury.facts.displacement_mm > 1
    assert np.linalg.norm(bones["C1"].pose.centre - plain_neck().bone("C1").pose.centre) > 1
    np.testing.assert_allclose(after, before, atol=0.8)


def test_the_head_goes_with_the_atlas_and_the_rest_stays() -> None:
    _, bones = broken("odontoid_type_3", 0.9)

    assert not np.allclose(bones["skull"].pose.centre, plain_neck().bone("skull").pose.centre)
    assert np.array_equal(bones["C3"].pose.centre, plain_neck().bone("C3").pose.centre)


def test_hairlines_and_other_fractures_carry_nothing() -> None:
    for kind, severity in (("odontoid_type_2", 0.1), ("pars", 1.0)):
        _, bones = broken(kind, severity)
        assert bones["C1"].pose is plain_neck().bone("C1").pose
