"""Stored numbers become what they mean, or are named: bits, signs, tables, lengths and scales."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cspine.errors import PixelError, StudyError
from cspine.reading import read_study
from tests.reading.scans import Change, Scan, body, neck, setting


def _stored(scan: Scan, **values: object) -> Change:
    """Stores HU + 1024 without a sign in twelve bits of sixteen, whatever the header is then made to say."""

    def change(dataset: Dataset, index: int) -> None:
        setting(BitsStored=12, HighBit=11, PixelRepresentation=0, **values)(dataset, index)
        dataset.PixelData = (scan.hu[index] + 1024).astype("<u2").tobytes()

    return change


def _with_bits(scan: Scan, bits: NDArray[Any], **values: object) -> Scan:
    """Returns the scan with bits set in every slice."""
    plain = _stored(scan, **values)

    def change(dataset: Dataset, index: int) -> None:
        plain(dataset, index)
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2").reshape(bits.shape) | bits).astype("<u2").tobytes()

    scan.change = change
    return scan


@pytest.mark.parametrize("stored", [8, 9, 10, 11])
def test_bits_that_hold_values_above_those_stored_are_refused(tmp_path: Path, stored: int) -> None:
    scan = Scan(hu=neck(6))
    scan.change = _stored(scan)
    inner = scan.change

    def change(dataset: Dataset, index: int) -> None:
        inner(dataset, index)
        dataset.BitsStored, dataset.HighBit = stored, stored - 1

    scan.change = change

    with pytest.raises(PixelError, match=f"Only the {stored} bits up to bit {stored - 1} of a pixel may hold its value"):
        read_study(scan.write(tmp_path))


@pytest.mark.parametrize("values", [{}, {"OverlayBitsAllocated": 16, "OverlayBitPosition": 13}])
def test_a_drawing_in_unused_bits_changes_no_value(tmp_path: Path, values: dict[str, int]) -> None:
    drawing = np.zeros((64, 64), np.uint16)
    drawing[10:14, 5:40] = drawing[20:22, 30] = 1 << 13
    scan = Scan(hu=neck(6))
    plain = _with_bits(scan, drawing).change
    assert plain is not None

    def change(dataset: Dataset, index: int) -> None:
        plain(dataset, index)
        if values:
            dataset.add_new(0x60000100, "US", values["OverlayBitsAllocated"])
            dataset.add_new(0x60000102, "US", values["OverlayBitPosition"])

    scan.change = change

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.warnings == ()


@pytest.mark.parametrize("declared", [True, False])
def test_an_overlay_that_follows_the_picture_must_be_declared(tmp_path: Path, declared: bool) -> None:
    scan = Scan()

    def change(dataset: Dataset, index: int) -> None:
        setting(BitsStored=11, HighBit=10, PixelRepresentation=0)(dataset, index)
        values = (scan.hu[index] + 1024).astype("<u2")
        dataset.PixelData = (values | ((scan.hu[index] > -500).astype("<u2") << 11)).tobytes()
        if declared:
            dataset.add_new(0x60020100, "US", 16)
            dataset.add_new(0x60020102, "US", 11)

    scan.change = change
    folder = scan.write(tmp_path)

    if declared:
        assert np.array_equal(read_study(folder).volume.hu, scan.hu)
    else:
        with pytest.raises(PixelError, match="Only the 11 bits up to bit 10"):
            read_study(folder)


@pytest.mark.parametrize("stated", [0, 1])
def test_a_sign_that_unused_bits_repeat_is_read_whatever_the_header_says(tmp_path: Path, stated: int) -> None:
    scan = Scan()

    def change(dataset: Dataset, index: int) -> None:
        setting(BitsStored=12, HighBit=11, PixelRepresentation=stated, RescaleIntercept=0)(dataset, index)
        dataset.PixelData = scan.hu[index].astype("<i2").tobytes()

    scan.change = change

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert [warning.code for warning in study.warnings] == ([] if stated else ["sign_mismatch"])


def test_a_high_bit_that_is_too_high_is_refused_where_lower_bits_hold_values(tmp_path: Path) -> None:
    scan = Scan()
    plain = _stored(scan)

    def change(dataset: Dataset, index: int) -> None:
        plain(dataset, index)
        dataset.HighBit = 15

    scan.change = change

    with pytest.raises(PixelError, match="Only the 12 bits up to bit 15"):
        read_study(scan.write(tmp_path))


# ---- lookup tables


def _table(entries: NDArray[Any], unit: str = "HU", first: int = 0) -> Dataset:
    table = Dataset()
    table.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries) % 65536, first, 16])
    table.ModalityLUTType = unit
    table.add_new(0x00283006, "OW", entries.astype("<i2").tobytes())
    return table


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize(("entries", "first"), [(4096, 0), (65536, -32768), (3000, 20)])
def test_a_table_of_hounsfield_units_is_applied(tmp_path: Path, entries: int, first: int, rescaled: bool) -> None:
    table = _table(np.clip(np.arange(entries) + first - 1024, -32768, 32767), first=first)

    def change(dataset: Dataset, _index: int) -> None:
        dataset.ModalityLUTSequence = [table]
        if not rescaled:
            del dataset.RescaleSlope, dataset.RescaleIntercept

    scan = Scan(change=change)

    study = read_study(scan.write(tmp_path))

    assert np.array_equal(study.volume.hu, scan.hu)
    assert study.warnings == ()


def test_the_first_entry_of_a_table_has_the_sign_of_the_pixels(tmp_path: Path) -> None:
    table = _table(np.arange(6000) - 1000 - 1024)
    table.LUTDescriptor = [6000, 65536 - 1000, 16]
    scan = Scan(change=setting(ModalityLUTSequence=[table]))

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


@pytest.mark.parametrize("unit", ["US", "OD", "HU_MOD", ""])
def test_a_table_of_anything_else_is_named(tmp_path: Path, unit: str) -> None:
    table = _table(np.arange(4096) - 1024, unit)

    with pytest.raises(PixelError, match="has a Modality LUT Sequence whose entries are not declared as such") as raised:
        read_study(Scan(change=setting(ModalityLUTSequence=[table])).write(tmp_path))
    assert raised.value.code == "modality_lut"


def test_a_table_that_lacks_entries_is_refused(tmp_path: Path) -> None:
    table = _table(np.arange(4096) - 1024)
    table.LUTDescriptor = [4000, 0, 16]

    with pytest.raises(StudyError, match=r"1\.dcm"):
        read_study(Scan(change=setting(ModalityLUTSequence=[table])).write(tmp_path))


# ---- scales


@pytest.mark.parametrize(("lacking", "value"), [("Slope", 1), ("Intercept", 0)])
def test_half_a_rescale_is_told(tmp_path: Path, lacking: str, value: int) -> None:
    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleIntercept = 0
        delattr(dataset, f"Rescale{lacking}")
        dataset.PixelData = body()[index].tobytes()

    study = read_study(Scan(change=change).write(tmp_path))

    assert np.array_equal(study.volume.hu, body())
    assert [(w.code, w.text) for w in study.warnings] == [
        ("half_rescale", f"The images give no Rescale {lacking}; {value} is taken.")
    ]


def test_a_missing_intercept_is_named_by_where_tissue_lies(tmp_path: Path) -> None:
    scan = Scan(hu=neck(8))

    def change(dataset: Dataset, index: int) -> None:
        del dataset.RescaleIntercept
        stored = np.where(
            np.hypot(*np.indices((64, 64)) - 31.5) > 31, -2000, scan.hu[index] + 1024
        )  # filling around the scan circle
        dataset.PixelData = stored.astype("<i2").tobytes()

    scan.change = change

    with pytest.raises(
        PixelError, match="much lies near 1000 HU, where tissue comes to lie where Rescale Slope or Intercept are missing"
    ):
        read_study(scan.write(tmp_path))


@pytest.mark.parametrize(("keyword", "value"), [("RescaleIntercept", 0), ("RescaleIntercept", -2048), ("RescaleSlope", 3)])
def test_one_slice_whose_scale_does_not_fit_its_neighbours_is_refused(tmp_path: Path, keyword: str, value: int) -> None:
    def change(dataset: Dataset, index: int) -> None:
        if index == 3:
            setattr(dataset, keyword, value)

    with pytest.raises(PixelError, match=r"in series 1\.2\.3\.4 they jump by \d+ HU"):
        read_study(Scan(hu=neck(8), change=change).write(tmp_path))


# ---- what pixels show


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_how_values_are_shown_does_not_change_them(tmp_path: Path, photometric: str) -> None:
    scan = Scan(hu=neck(8), change=setting(PhotometricInterpretation=photometric))

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_inverted_values_are_refused(tmp_path: Path) -> None:
    scan = Scan(hu=(2047 - neck(8)).astype(np.int16), change=setting(PhotometricInterpretation="MONOCHROME1"))

    with pytest.raises(PixelError, match="Hounsfield units are needed"):
        read_study(scan.write(tmp_path))


@pytest.mark.parametrize("photometric", ["PALETTE COLOR", "YBR_FULL", "RGB"])
def test_values_that_stand_for_colours_are_refused(tmp_path: Path, photometric: str) -> None:
    with pytest.raises(PixelError, match="by their Photometric Interpretation the values of series"):
        read_study(Scan(change=setting(PhotometricInterpretation=photometric)).write(tmp_path))


@pytest.mark.parametrize("wrong", [{"Rows": 11}, {"Columns": 9}, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}])
def test_more_pixels_than_the_header_says_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(PixelError, match=r"should have \d+ bytes of pixels by its Rows, Columns, Bits Allocated"):
        read_study(Scan(change=setting(**wrong)).write(tmp_path))


def test_a_few_bytes_behind_the_pixels_are_padding(tmp_path: Path) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.PixelData += bytes(6)

    scan = Scan(change=change)

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)
