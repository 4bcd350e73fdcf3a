"""Reads files as a study: DICOM folders, zips and NIfTI files; chooses the series and checks the stack."""

from cspine.reading.choosing import SeriesSummary as SeriesSummary
from cspine.reading.listing import Guard as Guard
from cspine.reading.listing import Listing as Listing
from cspine.reading.listing import find_series as find_series
from cspine.reading.listing import list_studies as list_studies
from cspine.reading.listing import studies_in as studies_in
from cspine.reading.listing import unguarded as unguarded
from cspine.reading.studies import read_study as read_study
