"""The page of figures: what is queued and on its way, drift, refusals, agreement with readers."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cspine.node.store.counting import read_counters
from cspine.node.store.scores import read_scores
from cspine.node.store.verdicts import read_verdicts
from cspine.node.web.exports import reader_labels
from cspine.node.web.figures import (
    LEAST_IN_GROUP,
    LEAST_IN_REFERENCE,
    LEAST_OF_A_KIND,
    REFERENCE,
    agreements,
    group_figures,
)
from cspine.node.web.guard import needs
from cspine.node.web.rows import duration
from cspine.node.web.services import services_of
from cspine.node.web.templating import page
from cspine.node.web.visitors import Permission


@needs(Permission.READ)
async def monitoring_page(request: Request) -> Response:
    """Shows the figures."""
    store = services_of(request).store
    counters = await run_in_threadpool(read_counters, store)
    scores = await run_in_threadpool(read_scores, store)
    verdicts = await run_in_threadpool(read_verdicts, store)
    context = {
        "counters": counters,
        "oldest": "" if counters.oldest_queued_s is None else duration(counters.oldest_queued_s),
        "parcel_ages": {name: duration(age) for name, age in sorted(counters.oldest_parcel_s.items())},
        "groups": group_figures(scores, store.clock()),
        "agreements": agreements(scores, verdicts),
        "labels": reader_labels(verdicts),
        "least": {"group": LEAST_IN_GROUP, "reference": LEAST_IN_REFERENCE, "kind": LEAST_OF_A_KIND, "first": REFERENCE},
    }
    return page(request, "monitoring.html", context)
