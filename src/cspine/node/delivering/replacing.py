"""Lets a report name the one that it replaces."""

from pydicom.dataset import Dataset


def name_predecessor(report: Dataset, sop_uid: str, series_uid: str) -> None:
    """Adds to a structured report which earlier one it takes the place of (PS3.3, C.17.2).

    Args:
        report: The report, which is changed.
        sop_uid: SOP Instance UID of the earlier one, of the same study and SOP Class.
        series_uid: Its Series Instance UID.
    """
    earlier, of_series, of_study = Dataset(), Dataset(), Dataset()
    earlier.ReferencedSOPClassUID, earlier.ReferencedSOPInstanceUID = report.SOPClassUID, sop_uid
    of_series.SeriesInstanceUID, of_series.ReferencedSOPSequence = series_uid, [earlier]
    of_study.StudyInstanceUID, of_study.ReferencedSeriesSequence = report.StudyInstanceUID, [of_series]
    report.PredecessorDocumentsSequence = [of_study]
