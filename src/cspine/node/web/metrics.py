"""``/metrics``: what the store counts, in the text format of Prometheus; read from the store, so that any process may answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import cspine
from cspine.node.store.counting import read_counters
from cspine.node.store.scores import read_scores
from cspine.node.web.figures import group_figures
from cspine.node.web.guard import needs
from cspine.node.web.services import Services, services_of
from cspine.node.web.visitors import Permission

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Metric = GaugeMetricFamily | CounterMetricFamily | SummaryMetricFamily


class NodeCollector(Collector):
    """Gives the present figures of a node."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[_Metric]:
        """Yields every metric once."""
        yield _gauge("cspine_info", "Version of cspine.", ["version"], {(cspine.__version__,): 1.0})
        yield from self._counted()
        yield from self._watched()
        folder = self._services.folders
        if folder.data.is_dir():
            yield _gauge("cspine_free_bytes", "Room left for scans and results.", [], {(): folder.free_gb() * 1e9})

    def _counted(self) -> Iterator[_Metric]:
        counters = read_counters(self._services.store)
        yield _gauge("cspine_jobs", "Versions of series by state.", ["state"], {(s.value,): n for s, n in counters.jobs.items()})
        parcels = {(destination, state.value): float(number) for (destination, state), number in counters.parcels.items()}
        yield _gauge("cspine_outbox", "Objects by archive and state.", ["destination", "state"], parcels)
        oldest = counters.oldest_queued_s or 0.0
        yield _gauge("cspine_queue_oldest_seconds", "Age of the oldest job that is queued.", [], {(): oldest})
        ages = {(destination,): age for destination, age in counters.oldest_parcel_s.items()}
        yield _gauge("cspine_outbox_oldest_seconds", "Age of the oldest object that waits.", ["destination"], ages)
        events = CounterMetricFamily("cspine_events", "Events by name, as leases that expired.", labels=["event"])
        for name, number in sorted(counters.events.items()):
            events.add_metric([name], number)
        yield events

    def _watched(self) -> Iterator[_Metric]:
        store = self._services.store
        scores = read_scores(store)
        stages: dict[str, list[float]] = {}
        for one in scores:
            for stage, seconds in one.timings.items():
                stages.setdefault(stage, []).append(seconds)
        timings = SummaryMetricFamily("cspine_stage_seconds", "Seconds of results by stage.", labels=["stage"])
        for stage, durations in sorted(stages.items()):
            timings.add_metric([stage], len(durations), sum(durations))
        yield timings
        figures = group_figures(scores, store.clock())
        drift = {(one.kind, one.name): one.index for one in figures if one.index is not None}
        yield _gauge("cspine_score_drift", "Population stability index of a week.", ["kind", "name"], drift)
        refused = {(one.kind, one.name, code): float(n) for one in figures for code, n in one.refused.items()}
        yield _gauge("cspine_refused", "Studies of a week without a result.", ["kind", "name", "code"], refused)
        positive = {(one.kind, one.name): one.positive for one in figures if one.positive is not None}
        yield _gauge("cspine_positive_share", "Share of positive studies of a week.", ["kind", "name"], positive)


def _gauge(name: str, about: str, labels: list[str], values: Mapping[Any, float]) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, about, labels=labels)
    for key, value in sorted(values.items()):  # keys are tuples of texts, as many as there are labels
        made.add_metric(list(key), value)
    return made


@needs(Permission.READ)
async def metrics(request: Request) -> Response:
    """Returns all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(services_of(request)))
    return Response(await run_in_threadpool(generate_latest, registry), media_type=_TYPE)
