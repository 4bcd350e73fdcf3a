"""Passwords are kept at a cost, and known again at the cost at which they were kept."""

from cspine.node.passwords import digest_password, is_password
from tests.node.conftest import PASSWORD_COST


def test_a_password_costs_whoever_guesses_it_what_owasp_asks_for() -> None:
    n, r, p = PASSWORD_COST

    assert 128 * n * r >= 16 << 20
    assert p >= 5


def test_a_password_is_known_again_at_the_cost_at_which_it_was_kept() -> None:
    kept = digest_password("correct horse")
    dearer = "scrypt$32$8$2$" + kept.split("$", 4)[4]

    assert is_password("correct horse", kept)
    assert not is_password("correct donkey", kept)
    assert not is_password("correct horse", dearer)
    assert not is_password("correct horse", None)
