"""Imports what a command needs before it can predict, without what nobody asks for."""

from importlib import import_module

_LEFT_OUT = ("f2py", "testing", "ma", "matlib", "rec", "char", "polynomial", "core", "strings")
"""Parts that numpy loads when they are first asked for, and scipy asks for them all by ``from numpy import *``."""


def import_scipy() -> None:
    """Imports scipy in half of its time: parts of numpy that nothing uses here stay unloaded, as they are without scipy.

    They can be asked for afterwards as ever. Where a version of scipy needs one of them, scipy is imported as usual.
    """
    numpy = import_module("numpy")
    absent = [name for name in _LEFT_OUT if name not in vars(numpy)]
    try:
        for name in absent:
            setattr(numpy, name, None)
        import_module("scipy.ndimage")
    except (ImportError, AttributeError):
        pass
    finally:
        for name in absent:
            if vars(numpy).get(name, numpy) is None:
                delattr(numpy, name)
    import_module("scipy.ndimage")
