import imagecodecs
import numpy as np
import pytest

from cspine.reading import pixels
from cspine.reading.codestreams import Codec
from cspine.reading.decoders import try_decoders


def test_every_transfer_syntax_that_is_read_is_tried_and_works_here() -> None:
    tried = try_decoders()

    assert {decoding.uid for decoding in tried} == set(pixels.SYNTAXES) - {""}
    assert {decoding.name: decoding.problem for decoding in tried if decoding.problem} == {}


def test_a_decoder_that_is_missing_or_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_data: bytes) -> None:
        raise ValueError("no such codec")

    monkeypatch.setitem(pixels._DECODERS, Codec.JPEG_LS, missing)
    monkeypatch.setitem(pixels._DECODERS, Codec.JPEG_2000, lambda data: np.asarray(imagecodecs.jpeg2k_decode(data)) + 1)

    problems = {decoding.name: decoding.problem for decoding in try_decoders() if decoding.problem}

    assert problems["JPEG 2000 Lossless"] == "values differ by up to 1"
    assert "no such codec" in str(problems["JPEG-LS Lossless"])
    assert "JPEG Lossless" not in problems
