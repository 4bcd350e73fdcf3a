"""How CT shows a neck: rendering of bones, soft tissue and hardware, and the physics of a scanner."""
