"""The story of one study, from a scan to a result."""

from cspine.detection.detector import Detector as Detector
from cspine.detection.detector import detect as detect
