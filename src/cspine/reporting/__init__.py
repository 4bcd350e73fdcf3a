"""Writes a result as files for people and machines."""

from cspine.reporting.table import FORMATS as FORMATS
from cspine.reporting.table import chosen as chosen
from cspine.reporting.table import format_of as format_of
from cspine.reporting.table import write_result as write_result
from cspine.reporting.written import Written as Written
