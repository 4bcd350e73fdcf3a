"""The whole node between a scanner and Orthanc: a study goes out over DICOM, its results come back and are found."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydicom.dataset import Dataset
from pynetdicom.ae import ApplicationEntity

from cspine.node.config_file import read_config
from cspine.node.store import DeliveryState, open_store
from cspine.node.store.counting import read_counters
from tests.node.nodes import free_port, serving, until, write_config, write_series

pytestmark = pytest.mark.slow

_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


class Orthanc:
    """An Orthanc of our own.

    Attributes:
        dicom: Its port for DICOM.
        http: Its port for REST.
    """

    def __init__(self, folder: Path, node_port: int) -> None:
        program = shutil.which("Orthanc")
        if program is None:
            pytest.skip("needs Orthanc (apt-get install orthanc)")
        self.dicom, self.http = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "orthanc"),
            "IndexDirectory": str(folder / "orthanc"),
            "DicomPort": self.dicom,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [str(_DICOMWEB)] if _DICOMWEB.is_file() else [],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {"cspine": ["CSPINE", "127.0.0.1", node_port], "finder": ["FINDER", "127.0.0.1", 1]},
        }
        self._file = folder / "orthanc.json"
        self._file.write_text(json.dumps(settings))
        self._program, self._log = program, folder / "orthanc.log"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs it while the context is open."""
        with self._log.open("ab") as log, subprocess.Popen([self._program, str(self._file)], stdout=log, stderr=log) as process:
            try:
                until(lambda: self._answers("/system"), "Orthanc")
                yield
            finally:
                process.terminate()
                process.wait(30)

    def _answers(self, path: str) -> bool:
        with suppress(OSError):
            return bool(self.get(path))
        return False

    def get(self, path: str) -> Any:
        """Asks its REST interface."""
        with urlopen(f"http://127.0.0.1:{self.http}{path}") as answer:
            return json.load(answer)

    def post(self, path: str, data: bytes) -> Any:
        """Tells its REST interface."""
        with urlopen(Request(f"http://127.0.0.1:{self.http}{path}", data=data, method="POST")) as answer:
            return json.load(answer)

    def find(self, study_uid: str) -> list[str]:
        """Modalities of the series of a study, by C-FIND."""
        entity, query = ApplicationEntity("FINDER"), Dataset()
        entity.add_requested_context(_FIND)
        query.QueryRetrieveLevel, query.StudyInstanceUID, query.Modality, query.SeriesInstanceUID = "SERIES", study_uid, "", ""
        association = entity.associate("127.0.0.1", self.dicom, ae_title="ORTHANC")
        found = [str(one.Modality) for _, one in association.send_c_find(query, _FIND) if one is not None]
        association.release()
        return sorted(found)

    def query(self, study_uid: str) -> list[str]:
        """Modalities of the series of a study, by QIDO-RS."""
        found = self.get(f"/dicom-web/studies/{study_uid}/series")
        return sorted(one["00080060"]["Value"][0] for one in found)


@dataclass(frozen=True)
class Course:
    """Holds what was seen of a study that went from Orthanc to the node and back.

    Attributes:
        sent: How many images it has.
        statistics: What Orthanc counts in the end.
        found: What C-FIND finds, before and after Orthanc was started anew.
        queried: The same by QIDO-RS; empty where Orthanc has no plugin for it.
    """

    sent: int
    statistics: dict[str, Any]
    found: list[list[str]]
    queried: list[list[str]]


@pytest.fixture(scope="module")
def course(coded_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    orthanc, series = Orthanc(folder, port), write_series(folder / "scan", 1, fractured=True)
    archive = f'[[destination]]\nname = "pacs"\nae_title = "ORTHANC"\naddress = "127.0.0.1:{orthanc.dicom}"\ncommitment = true\n'
    config_file = write_config(folder, coded_package, archive, node={"dicom": f"127.0.0.1:{port}"})
    config, found, queried = read_config(config_file), [], []
    with orthanc.running(), serving(config_file, folder / "log"):
        for file in series.files:
            orthanc.post("/instances", file.read_bytes())
        (own,) = orthanc.get("/series")
        until(lambda: _pushed(orthanc, own), "the push")
        until(lambda: len(orthanc.find("1.2.3.1")) == 4, "the results")
        store = open_store(config.node.database, config.node.data)
        until(lambda: read_counters(store).parcels == {("pacs", DeliveryState.CONFIRMED): 3}, "storage commitment")
        store.close()
        statistics = orthanc.get("/statistics")
        found.append(orthanc.find("1.2.3.1"))
        queried += [orthanc.query("1.2.3.1")] if _DICOMWEB.is_file() else []
    with orthanc.running():
        found.append(orthanc.find("1.2.3.1"))
        queried += [orthanc.query("1.2.3.1")] if _DICOMWEB.is_file() else []
    return Course(len(series.files), statistics, found, queried)


def test_a_study_goes_from_orthanc_to_the_node_and_its_results_come_back_for_good(course: Course) -> None:
    counted = [course.statistics[f"Count{name}"] for name in ("Patients", "Studies", "Series", "Instances")]

    assert course.found == [["CT", "OT", "SEG", "SR"]] * 2
    assert counted == [1, 1, 4, course.sent + 3]


def test_results_are_found_over_dicomweb_too(course: Course) -> None:
    if not course.queried:
        pytest.skip("needs the DICOMweb plugin of Orthanc (apt-get install orthanc-dicomweb)")

    assert course.queried == [["CT", "OT", "SEG", "SR"]] * 2


def _pushed(orthanc: Orthanc, series: str) -> bool:
    with suppress(OSError):
        return int(orthanc.post("/modalities/cspine/store", series.encode())["FailedInstancesCount"]) == 0
    time.sleep(0.5)
    return False
