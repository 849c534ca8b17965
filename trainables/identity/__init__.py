"""The identity model Φ (methods, section 4): settings, loading, features, verification."""

from trainables.identity.build import attacker_rows, build_identity, check_identity
from trainables.identity.config import IdentityConfig
from trainables.identity.features import FaceFeatures, face_features, store_features
from trainables.identity.model import IdentityModel
from trainables.identity.public import identity_rows
from trainables.identity.verification import WEAK_AUC, Verification, load_or_verify, verify

__all__ = [
    "WEAK_AUC",
    "FaceFeatures",
    "IdentityConfig",
    "IdentityModel",
    "Verification",
    "attacker_rows",
    "build_identity",
    "check_identity",
    "face_features",
    "identity_rows",
    "load_or_verify",
    "store_features",
    "verify",
]
