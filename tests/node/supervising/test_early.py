"""The receiver's desk: an idle node begins with a series during the quiet time after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cspine.node.config_file import read_config
from cspine.node.receiving.completeness import Completeness
from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import State, Store, open_store
from cspine.node.store.worklist import worklist
from cspine.node.supervising import roles
from tests.node.nodes import Series, write_config, write_series
from tests.node.series import arrive, take
from tests.node.times import Clock


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return write_series(tmp_path_factory.mktemp("series") / "1", 1)


@dataclass
class Node:
    """A receiver without its port: images come into the spool, the desk looks what is complete."""

    desk: roles._Desk
    spool: Spool
    store: Store
    clock: Clock

    def come_in(self, series: Series, first: int, last: int) -> None:
        """Has images come over one association, which is released."""
        for file in series.files[first:last]:
            self.desk.completeness.came(series.uid, first, "CT1", "ER")
            self.spool.put_copy(file, series.uid, f"{series.uid}.{file.stem.split('_')[1]}")
        self.desk.completeness.ended(first, released=True)

    def after(self, seconds: float) -> list[tuple[int, State]]:
        """Returns images and state of what is listed so many seconds later."""
        self.clock.now += seconds
        self.desk.step()
        return [(row.images, row.state) for row in worklist(self.store)]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    config, clock = read_config(write_config(tmp_path, tmp_path)), Clock()
    monkeypatch.setattr(roles, "Completeness", lambda *_: partial(Completeness, 5, 60)(clock))
    folders = Folders(config.node.data)
    folders.make()
    store = open_store("sqlite", config.node.data, clock)
    yield Node(roles._Desk(config, store), Spool(folders), store, clock)
    store.close()


def test_an_idle_node_begins_a_second_after_the_last_image(node: Node, series: Series) -> None:
    node.come_in(series, 0, 6)

    assert node.after(0.5) == []
    assert node.after(0.6) == [(6, State.QUEUED)]
    early = take(node.store)
    assert early.due_at == pytest.approx(node.clock.now + 3.9)
    assert node.after(4) == [(6, State.RUNNING)]


def test_images_that_follow_end_early_work_at_once(node: Node, series: Series) -> None:
    node.come_in(series, 0, 4)
    assert node.after(1) == [(4, State.QUEUED)]

    node.come_in(series, 4, 6)

    assert node.after(0.2) == [(4, State.SUPERSEDED)]
    assert node.after(4) == [(4, State.SUPERSEDED)]
    assert node.after(1) == [(6, State.QUEUED)]
    assert take(node.store).due_at == 0.0


def test_an_image_that_comes_twice_does_not_lose_the_series(node: Node, series: Series) -> None:
    node.come_in(series, 0, 6)
    assert node.after(1) == [(6, State.QUEUED)]

    node.come_in(series, 5, 6)

    assert node.after(0.2) == [(6, State.SUPERSEDED)]
    assert node.after(5) == [(6, State.QUEUED)]


def test_a_node_with_work_waits_for_the_quiet_time(node: Node, series: Series) -> None:
    arrive(node.store)
    node.come_in(series, 0, 6)

    assert (6, State.QUEUED) not in node.after(1)
    assert (6, State.QUEUED) in node.after(4)
