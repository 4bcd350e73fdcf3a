"""From a result to files for people and machines."""

from cspine.reporting.table import FORMATS as FORMATS
from cspine.reporting.table import file_of as file_of
from cspine.reporting.table import write_result as write_result
