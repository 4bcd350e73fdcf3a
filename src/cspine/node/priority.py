"""Orders work and the worklist: by the time that a study has waited, plus a credit for what was found.

Sorting by probability alone lets missed fractures wait for days; a credit bounds how much later anybody is read. The figures stand
in ``docs/reference/node.md``.
"""

from cspine.node.store.nouns import State

POSITIVE_MINUTES = 480.0
SUSPICIOUS_MINUTES = 60.0
SUSPICIOUS_PROBABILITY = 0.2


def credit_minutes(state: State, probability: float | None, positive: bool | None) -> float:
    """Returns how many minutes a result counts as having waited longer; nobody has looked at rejected and failed ones."""
    if state in (State.REJECTED, State.FAILED):
        return SUSPICIOUS_MINUTES
    suspicious = probability is not None and probability > SUSPICIOUS_PROBABILITY
    return POSITIVE_MINUTES * bool(positive) + SUSPICIOUS_MINUTES * suspicious


def rank_at(received_at: float, minutes: float) -> float:
    """Returns the moment by which things are ordered, the earliest first: when it came, less the credit.

    Waiting moves everything alike, so that the order by this moment is the order by minutes waited plus credit at any time.
    """
    return received_at - 60.0 * minutes
