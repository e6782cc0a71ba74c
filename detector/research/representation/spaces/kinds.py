"""The spaces by name, as the command line offers them; free of everything heavy."""

from __future__ import annotations

from enum import StrEnum


class SpaceKind(StrEnum):
    """Each is the `name` of the space it stands for, with that space's usual options."""

    ANGULAR_CKA = "angular-cka"
    ANGULAR_CKA_UNMASKED = "angular-cka-unmasked"
    ANGULAR_CKA_LAPLACE = "angular-cka-laplace"
    ANGULAR_CKA_SQUARED_EXPONENTIAL = "angular-cka-squared-exponential"
    PROCRUSTES = "procrustes"
    ANGULAR_PROCRUSTES = "angular-procrustes"
    SHAPE_HALF = "shape-0.5"
    ANGULAR_SHAPE_HALF = "angular-shape-0.5"
    SHAPE_WHITE = "shape-0"
    ANGULAR_SHAPE_WHITE = "angular-shape-0"
    RIEMANNIAN = "riemannian"
    RIEMANNIAN_COVARIANCE = "riemannian-covariance-100"
    STRESS = "stress"
    STRESS_RESCALED = "stress-rescaled"
