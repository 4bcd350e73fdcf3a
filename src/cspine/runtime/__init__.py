"""Inference engines behind one :class:`Session`."""

from cspine.runtime.session import Demand as Demand
from cspine.runtime.session import Device as Device
from cspine.runtime.session import Engine as Engine
from cspine.runtime.session import Session as Session
from cspine.runtime.table import calculates_in as calculates_in
from cspine.runtime.table import calculates_on as calculates_on
from cspine.runtime.table import open_session as open_session
