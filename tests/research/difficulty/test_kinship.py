"""Names of networks say how far they are from one another."""

from __future__ import annotations

import pytest

from detector.research.difficulty.kinship import Kinship, kinship, pairs


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ("mlp-128-128", "mlp-256-256", Kinship.WIDTHS),
        ("resnet20-16", "resnet20-8", Kinship.WIDTHS),
        ("mlp-128-128", "mlp-128-128-128", Kinship.DEPTHS),
        ("resnet20-16", "resnet8-16", Kinship.DEPTHS),
        ("cnn-16-32", "flatcnn-16-32", Kinship.DESIGNS),
        ("cnn-16-32", "resnet8-16", Kinship.DESIGNS),
        ("mlp-16-16", "mlp-16-16-batchnorm", Kinship.DESIGNS),
        ("mlp-16-16", "resmlp4-16", Kinship.DESIGNS),
        ("mlp-16-16", "cnn-16-32", Kinship.FAMILIES),
        ("resmlp4-16", "resnet8-16", Kinship.FAMILIES),
        ("somebody's", "mlp-16-16", Kinship.FAMILIES),
    ],
)
def test_kinship_of_two_is_that_of_both(first: str, second: str, wanted: Kinship) -> None:
    assert kinship(first, second) is kinship(second, first) is wanted


def test_pairs_come_with_the_nearest_kin_first() -> None:
    found = pairs(("mlp-8", "cnn-8-8", "mlp-16", "cnn-8-16"))
    assert found[:2] == [("mlp-8", "mlp-16"), ("cnn-8-8", "cnn-8-16")]
    assert len(found) == 6
