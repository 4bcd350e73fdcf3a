import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cspine.errors import OutputError, PackageError
from cspine.modelpack import load_any_package, load_localiser, load_package, shipped_packages, write_package
from cspine.runtime import open_session
from tests.coded import coded_manifest, coded_network, coded_samples, write_coded_package


def test_a_package_is_read_as_it_was_written(coded_package: Path) -> None:
    package = load_package(coded_package)

    assert replace(package.manifest, checksums={}) == coded_manifest()
    assert set(package.manifest.checksums) == {"coded.xml", "coded.bin", "samples-slices.npz", "card.md"}
    assert package.card.startswith("# coded")
    assert package.samples().outputs.keys() == {"fracture", "visible"}


def test_the_same_package_written_twice_has_the_same_digest(coded_package: Path, tmp_path: Path) -> None:
    package = load_package(coded_package)
    files = {name: coded_package / name for name in ("coded.xml", "coded.bin")}

    write_package(tmp_path / "again", package.manifest, files, {"slices": package.samples()}, package.card)

    assert load_package(tmp_path / "again").sha256 == package.sha256


def test_writing_again_replaces_the_package_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for _ in range(2):
        write_coded_package(tmp_path / "out" / "coded", scratch)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["coded"]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match="needs a new or empty folder"):
        write_coded_package(tmp_path, tmp_path)

    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_package_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    network = coded_network(tmp_path)
    files = {"coded.xml": network, "coded.bin": tmp_path / "lost.bin"}

    with pytest.raises(OutputError, match="cannot be written to"):
        write_package(tmp_path / "packages" / "coded", coded_manifest(), files, {"slices": coded_samples(network)}, "card")

    assert list((tmp_path / "packages").iterdir()) == []


def test_a_network_without_its_weights_is_not_packed(tmp_path: Path) -> None:
    network = coded_network(tmp_path)

    with pytest.raises(PackageError, match=r"must hold its networks. Missing: coded\.bin"):
        write_package(tmp_path / "p", coded_manifest(), {"coded.xml": network}, {"slices": coded_samples(network)}, "card")


def test_samples_must_cover_every_output(tmp_path: Path) -> None:
    network = coded_network(tmp_path)
    files = {path.name: path for path in (network, network.with_suffix(".bin"))}
    samples = coded_samples(network)
    del samples.outputs["visible"]

    with pytest.raises(PackageError, match=r"the outputs fracture, visible\. Received: fracture"):
        write_package(tmp_path / "p", coded_manifest(), files, {"slices": samples}, "card")


def test_a_file_of_a_package_keeps_within_the_package(tmp_path: Path) -> None:
    network = coded_network(tmp_path)
    files = {"coded.xml": network, "coded.bin": network.with_suffix(".bin"), "../escape": network}

    with pytest.raises(PackageError, match="need plain names of their own"):
        write_package(tmp_path / "p", coded_manifest(), files, {"slices": coded_samples(network)}, "card")


@pytest.mark.parametrize("name", ["coded.bin", "coded.xml", "samples-slices.npz", "card.md"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(PackageError, match=f"{name} is damaged"):
        load_package(folder)


@pytest.mark.parametrize("name", ["coded.bin", "coded.xml", "samples-slices.npz", "card.md"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    (folder / name).unlink()

    with pytest.raises(PackageError, match=f"{name} is missing"):
        load_package(folder)


def test_a_file_without_a_checksum_is_not_trusted(tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    manifest = load_package(folder).manifest
    fewer = {name: digest for name, digest in manifest.checksums.items() if name != "coded.bin"}
    (folder / "manifest.json").write_text(replace(manifest, checksums=fewer).to_json())

    with pytest.raises(PackageError, match=r"must have a checksum. Missing: coded\.bin"):
        load_package(folder)


def _renamed(folder: Path, name: str) -> None:
    """Makes the manifest name another file for its network, with the right checksums."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["networks"][0]["file"] = name
    for suffix in (".xml", ".bin"):
        manifest["checksums"][name.removesuffix(".xml") + suffix] = manifest["checksums"].pop(f"coded{suffix}")
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "name",
    ["../elsewhere/coded.xml", "/tmp/coded.xml", "sub/coded.xml", "..\\coded.xml", "C:coded.xml", ".coded.xml", "a\n.xml", ""],
)
def test_a_network_outside_its_package_is_refused(name: str, tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    for suffix in (".xml", ".bin"):
        shutil.copy(folder / f"coded{suffix}", tmp_path / "elsewhere")
    _renamed(folder, name)

    with pytest.raises(PackageError, match="must have a plain name in the folder of its package") as caught:
        load_package(folder)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["coded.xml", "coded.bin", "samples-slices.npz", "card.md", "manifest.json"])
def test_a_link_that_leads_out_of_a_package_is_refused(name: str, tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)

    with pytest.raises(PackageError, match=f"{name} is a link that leads out of the package"):
        load_package(folder)


def test_a_package_that_is_itself_behind_a_link_is_read(tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    (tmp_path / "link").symlink_to(folder)

    assert load_package(tmp_path / "link").manifest.name == "coded"


def test_what_was_checked_is_what_is_run(tmp_path: Path) -> None:
    """A change of a file after its check changes nothing."""
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    package = load_package(folder)
    for name in ("coded.xml", "coded.bin", "samples-slices.npz"):
        (folder / name).write_bytes(b"something else")

    assert package.verify_samples(open_session(package.network("slices"))) < 1e-3


def test_a_file_that_belongs_to_no_network_is_refused(tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["checksums"]["../../etc/passwd"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(PackageError, match="has the files of its networks, samples and a card alone"):
        load_package(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "size"), [10**9, 10**9]),
        (("spec", "size"), [0, 48]),
        (("spec", "size"), [-48, 48]),
        (("spec", "spacing_mm"), [1e-30, 1.0, 1.0]),
        (("spec", "spacing_mm"), [-1.0, 1.0, 1.0]),
        (("spec", "neighbours"), 10**15),
        (("networks", 0, "tolerance"), 1e9),
        (("networks", 0, "tolerance"), 0),
    ],
)
def test_absurd_numbers_are_refused_before_a_network_is_read(path: tuple[str | int, ...], value: object, tmp_path: Path) -> None:
    folder = write_coded_package(tmp_path / "coded", tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "coded.xml").unlink()

    with pytest.raises(PackageError, match=r"cannot be used\. .*(The input of a network needs|The tolerance of a network)"):
        load_package(folder)


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(PackageError, match="cannot be read"):
        load_package(tmp_path)


@pytest.mark.parametrize("where", ["no_such_package", "/no/such/folder", "."])
def test_a_package_that_is_not_there_is_said_in_one_line(where: str) -> None:
    with pytest.raises(PackageError, match=r"is a folder with a manifest\.json, or a shipped name") as caught:
        load_package(where)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", shipped_packages() or [pytest.param("", marks=pytest.mark.skip("no package ships yet"))])
def test_every_shipped_package_repeats_its_samples(name: str) -> None:
    package = load_any_package(name)

    assert package.manifest.name == name
    for network in package.manifest.networks:
        session = open_session(package.network_path(network.role))
        assert package.verify_samples(session, network.role) <= network.tolerance


def test_a_network_that_does_not_repeat_its_samples_is_found_out(coded_package: Path) -> None:
    class Liar:
        def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            return {name: np.full((len(batch), 7), 0.5, np.float32) for name in ("fracture", "visible")}

    class Mute:
        def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            return {"fracture": np.zeros((len(batch), 7), np.float32)}

    with pytest.raises(PackageError, match=r"within 0\.001. It differs by"):
        load_package(coded_package).verify_samples(Liar())
    with pytest.raises(PackageError, match=r"Missing: \['visible'\]"):
        load_package(coded_package).verify_samples(Mute())


def test_a_package_of_another_kind_is_told_apart(coded_package: Path) -> None:
    assert load_any_package(coded_package).manifest == load_package(coded_package).manifest
    with pytest.raises(PackageError, match=r"A package of kind localiser is needed here\. coded is of kind slices"):
        load_localiser(coded_package)
