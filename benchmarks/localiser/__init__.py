"""How well a localiser finds and names vertebrae, on phantoms that it has not seen and on real scans."""
