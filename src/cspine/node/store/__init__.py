"""Remembers what a node knows, in SQLite or PostgreSQL: series, jobs, objects on their way, verdicts, an audit trail, users."""

from cspine.node.store.database import Store as Store
from cspine.node.store.database import open_store as open_store
from cspine.node.store.nouns import DeliveryState as DeliveryState
from cspine.node.store.nouns import Role as Role
from cspine.node.store.nouns import State as State
