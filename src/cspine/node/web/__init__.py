"""Serves people and programs: a worklist, study pages, verdicts, an interface over HTTP, figures for monitoring."""

from cspine.node.web.app import serve as serve
