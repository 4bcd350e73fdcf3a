"""Models what a neck is made of: shapes, posture, injuries, look-alikes, degeneration, hardware, soft tissue; parameters only."""
