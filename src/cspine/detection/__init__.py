"""The story of one study, from a scan to a result."""

from cspine.detection.detector import Detector as Detector
from cspine.detection.detector import detect as detect
from cspine.detection.detector import facts_of as facts_of
from cspine.detection.quality import check_located as check_located
from cspine.detection.quality import check_scan as check_scan
