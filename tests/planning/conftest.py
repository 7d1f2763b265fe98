"""What the tests of planning share: a shape of a real model's size, and texts of known lengths."""

from __future__ import annotations

import pytest

from rrr_core.planning.lengths import Lengths, Texts
from rrr_core.planning.memory import Setup
from rrr_core.planning.shape import Shape


@pytest.fixture
def large() -> Shape:
    """Of Qwen2.5-1.5B: 28 layers of 1536, 12 heads and 2 key heads of 128, tied embeddings of 151,936."""
    return Shape(
        parameters=1_543_714_304,
        embedding=151_936 * 1536,
        hidden=1536,
        layers=28,
        attention=1536,
        cached=256,
        intermediate=8960,
        vocabulary=151_936,
        context=32_768,
    )


@pytest.fixture
def on_gpu(large: Shape) -> Setup:
    """All weights trained on a GPU, as by default."""
    return Setup(
        bytes_per_weight=4,
        stored_bytes=2,
        autocast=True,
        checkpointed=True,
        trainable=large.parameters,
        reference=True,
        prefix_limit=8e9,
    )


@pytest.fixture
def texts() -> Texts:
    return Texts(
        prompt=Lengths((100.0,)),
        attempt=Lengths((50.0,)),
        reflect=20.0,
        reflection=Lengths((60.0,)),
        again=10.0,
        retry=Lengths((40.0,)),
    )
