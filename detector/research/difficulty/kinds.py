"""The scores of difficulty there are: their names, formulas, sources, and which way each of them points.

This is the one place where a score gets its name. Notation: p is the softmax of the logits, y the label, t = 1..T the
checkpoints, a_t whether the network is right at t. What is averaged over training is called ``avg-``, what is taken at
its end ``last-``, the variance over training ``var-``. Papers: Agarwal et al. (arXiv 2008.11600), Baldock et al.
(2106.09647), Feldman and Zhang (2008.03703), Paul et al. (2107.07075), Pleiss et al. (2001.10528), Sorscher et al.
(2206.14486), Swayamdipta et al. (2009.10795), Toneva et al. (1812.05159), Meding et al. (2110.05922); collected for
arXiv 2401.01867.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Needs(StrEnum):
    """What a score is computed from.

    LOGITS: of one checkpoint or more. VARIANCE: logits of two or more. GRADIENTS: at chosen checkpoints.
    VARIANCE_OF_GRADIENTS: at two or more. ACTIVATIONS: at the end of training, of hidden layers. LEVELS: a sequence of
    pruning levels. ENSEMBLE: several runs together, so it is no score of one run. SUBSETS: several runs, each trained
    on a part of the images; likewise.
    """

    LOGITS = "logits"
    VARIANCE = "logits of two checkpoints"
    GRADIENTS = "gradients"
    VARIANCE_OF_GRADIENTS = "gradients at two checkpoints"
    ACTIVATIONS = "activations"
    LEVELS = "pruning levels"
    ENSEMBLE = "several runs"
    SUBSETS = "runs on parts of the images"


class Scored(StrEnum):
    """What is scored.

    TRAINING: the images that runs are trained on, all there are; what networks learn by heart looks easy at the end of
    training. HELD_OUT: a part that no run sees.
    """

    TRAINING = "training"
    HELD_OUT = "held-out"


@dataclass(frozen=True)
class ScoreKind:
    """One score.

    Args:
        name: As in tables and files.
        title: In words.
        formula: Of its raw value.
        source: Where it comes from.
        sign: 1 where a high raw value means a hard example, -1 where it means an easy one.
        needs: What it is computed from.
    """

    name: str
    title: str
    formula: str
    source: str
    sign: int
    needs: Needs

    def oriented(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """The higher, the harder.

        Args:
            raw: Any shape, as the formula has it.
        """
        return self.sign * raw


AVERAGE: Final = "avg-"
LAST: Final = "last-"
VARIANCE: Final = "var-"

POINTWISE: Final = (
    ScoreKind("acc", "accuracy", "[argmax p = y]", "Jiang et al. 2021 (arXiv 2002.03206)", -1, Needs.LOGITS),
    ScoreKind("ent", "entropy", "-sum_k p_k log p_k, with 0 log 0 = 0", "Coleman et al. 2020", 1, Needs.LOGITS),
    ScoreKind("conf", "confidence", "p_y", "Swayamdipta et al. 2020", -1, Needs.LOGITS),
    ScoreKind("maxconf", "largest confidence", "max_k p_k", "Hendrycks and Gimpel 2017", -1, Needs.LOGITS),
    ScoreKind("margin", "probability margin", "p_y - max_(k != y) p_k", "after Pleiss et al. 2020", -1, Needs.LOGITS),
    ScoreKind("el2n", "EL2N", "|p - onehot(y)|", "Paul et al. 2021", 1, Needs.LOGITS),
    ScoreKind("loss", "loss", "-log p_y", "cross-entropy", 1, Needs.LOGITS),
)
"""What a checkpoint says of each example; the margin is one of probabilities, not of logits as in its source."""


def _over_training() -> tuple[ScoreKind, ...]:
    """The pointwise scores as they are compared: averaged over training, at its end, and their variance."""
    kinds = []
    for kind in POINTWISE:
        kinds += [
            ScoreKind(
                AVERAGE + kind.name,
                f"{kind.title}, training average",
                f"mean_t of {kind.formula}",
                kind.source,
                kind.sign,
                Needs.LOGITS,
            ),
            ScoreKind(
                LAST + kind.name,
                f"{kind.title}, end of training",
                f"{kind.formula} at t = T",
                kind.source,
                kind.sign,
                Needs.LOGITS,
            ),
            ScoreKind(
                VARIANCE + kind.name,
                f"{kind.title}, variance over training",
                f"var_t of {kind.formula}, by T - 1",
                "Swayamdipta et al. 2020: what a network can't make up its mind on is hard",
                1,
                Needs.VARIANCE,
            ),
        ]
    return tuple(sorted(kinds, key=lambda kind: (AVERAGE, LAST, VARIANCE).index(kind.name.partition("-")[0] + "-")))


FORGETTING: Final = (
    ScoreKind(
        "countforget",
        "times forgotten",
        "the number of t with a_(t-1) = 1 and a_t = 0; none for what was never learnt",
        "Toneva et al. 2019",
        1,
        Needs.LOGITS,
    ),
    ScoreKind(
        "firstlearn",
        "first learnt",
        "the checkpoints before the first with a_t = 1, T if there is none",
        "Toneva et al. 2019",
        1,
        Needs.LOGITS,
    ),
    ScoreKind(
        "firstunforgettable",
        "learnt for good",
        "the checkpoints before the first from which on a_t = 1, T if there is none",
        "iteration learned, Baldock et al. 2021",
        1,
        Needs.LOGITS,
    ),
    ScoreKind(
        "unforgettable",
        "never forgotten",
        "[a_t = 1 for some t, and never 0 after it]",
        "Toneva et al. 2019",
        -1,
        Needs.LOGITS,
    ),
)
PRUNING: Final = (
    ScoreKind(
        "firstforget",
        "first lost to pruning",
        "the levels before the first with a_l = 0, their number if there is none",
        "Hooker et al. 2019 (arXiv 1911.05248), the mirror of firstlearn",
        -1,
        Needs.LEVELS,
    ),
    ScoreKind(
        "firstunlearnable",
        "lost to pruning for good",
        "the levels before the first from which on a_l = 0, their number if there is none",
        "Hooker et al. 2019, the mirror of firstunforgettable",
        -1,
        Needs.LEVELS,
    ),
)
GRADIENTS: Final = (
    ScoreKind(
        "grand",
        "GraNd",
        "mean_t of |gradient of -log p_y by all weights|, norms in evaluation mode",
        "Paul et al. 2021",
        1,
        Needs.GRADIENTS,
    ),
    ScoreKind(
        "grand-last-layer",
        "GraNd of the last layer",
        "mean_t of |p - onehot(y)| sqrt(|h|^2 + 1), h what the last layer reads",
        "Paul et al. 2021, in closed form",
        1,
        Needs.GRADIENTS,
    ),
    ScoreKind(
        "vog",
        "VoG",
        "mean over pixels of var_t of the gradient of p_y by the pixel, mean of its channels",
        "Agarwal et al. 2022",
        1,
        Needs.VARIANCE_OF_GRADIENTS,
    ),
    ScoreKind(
        "classvog",
        "VoG of the predicted class",
        "the same of the gradient of max_k p_k",
        "Agarwal et al. 2022",
        1,
        Needs.VARIANCE_OF_GRADIENTS,
    ),
    ScoreKind(
        "lossvog",
        "VoG of the loss",
        "the same of the gradient of -log p_y",
        "after Agarwal et al. 2022",
        1,
        Needs.VARIANCE_OF_GRADIENTS,
    ),
)
ACTIVATIONS: Final = (
    ScoreKind(
        "pd",
        "prediction depth",
        "the hidden layers before the first from which on 30 neighbours say y, their number if there is none",
        "Baldock et al. 2021",
        1,
        Needs.ACTIVATIONS,
    ),
    ScoreKind(
        "proto",
        "distance to the class's mean",
        "|h - mean of h over training images of class y|, h what the last layer reads",
        "after Sorscher et al. 2022",
        1,
        Needs.ACTIVATIONS,
    ),
    ScoreKind(
        "selfproto",
        "distance to the nearest of 30 clusters",
        "min_j |h - c_j|, c_j the means of 30 clusters of training images",
        "Sorscher et al. 2022, there of an encoder's features",
        1,
        Needs.ACTIVATIONS,
    ),
)
ENSEMBLE: Final = (
    ScoreKind("meanacc", "mean accuracy", "mean over runs of a_T", "Meding et al. 2022", -1, Needs.ENSEMBLE),
    ScoreKind(
        "consensus",
        "agreement",
        "the share of runs that say the label most of them say",
        "Meding et al. 2022",
        -1,
        Needs.ENSEMBLE,
    ),
    ScoreKind(
        "ddd",
        "dichotomous data difficulty",
        "1 where all runs are right, -1 where all are wrong, else 0",
        "Meding et al. 2022",
        -1,
        Needs.ENSEMBLE,
    ),
    ScoreKind(
        "consistency",
        "consistency",
        "mean of a_T over runs that did not train on the example",
        "Jiang et al. 2021",
        -1,
        Needs.SUBSETS,
    ),
    ScoreKind(
        "memorisation",
        "memorisation",
        "mean of a_T over runs that trained on the example, less consistency",
        "Feldman and Zhang 2020",
        1,
        Needs.SUBSETS,
    ),
)

KINDS: Final = {
    kind.name: kind for kind in (*_over_training(), *FORGETTING, *PRUNING, *GRADIENTS, *ACTIVATIONS, *ENSEMBLE)
}
"""All scores by name, in the order in which they are shown."""
