"""From files to a study: DICOM folders, zips and NIfTI files; choosing the series, checking the stack."""

from cspine.reading.choosing import SeriesSummary as SeriesSummary
from cspine.reading.studies import Listing as Listing
from cspine.reading.studies import find_series as find_series
from cspine.reading.studies import list_studies as list_studies
from cspine.reading.studies import read_study as read_study
from cspine.reading.studies import studies_in as studies_in
