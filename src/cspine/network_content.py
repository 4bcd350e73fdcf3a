"""A network as it was read: what was checked is what is loaded."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NetworkContent:
    """The bytes of a network.

    Attributes:
        name: Its file name, whose suffix tells the format: ``.xml`` (OpenVINO IR) or ``.onnx``.
        graph: What that file holds.
        weights: What the file of weights beside it holds; empty where there is none.
    """

    name: str
    graph: bytes = field(repr=False)
    weights: bytes = field(default=b"", repr=False)

    @property
    def suffix(self) -> str:
        """Returns the format."""
        return self.name[self.name.rfind(".") :]
