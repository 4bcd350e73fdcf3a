"""Shows a neck as CT does: rendering of bones, soft tissue and hardware, and the physics of a scanner."""
