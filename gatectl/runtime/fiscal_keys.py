"""Signing with keys in files, through the cryptography library. Loaded only where a site has a fiscal journal."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from gatectl.runtime.keys import KeysRefused

_HALF = 32
"""Bytes of r, and of s, on P-256."""


@dataclass(frozen=True, slots=True)
class EcdsaUnit:
    """RKSV in a closed system. Signatures are deterministic (RFC 6979): the same receipt, the same signature."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    turnover_key: bytes = field(repr=False)

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        return Cipher(algorithms.AES(self.turnover_key), modes.CTR(block)).encryptor().update(plain)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return r.to_bytes(_HALF) + s.to_bytes(_HALF)


@dataclass(frozen=True, slots=True)
class RsaUnit:
    """Portugal: RSA with SHA-1 and PKCS #1 v1.5, as the law has it."""

    key: rsa.RSAPrivateKey = field(repr=False)

    def encrypt(self, block: bytes, plain: bytes) -> bytes:
        raise AssertionError("nothing is encrypted in Portugal")

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  # the law says SHA-1


def ecdsa_unit(pem: bytes, turnover_key: bytes) -> EcdsaUnit:
    """Raises KeysRefused for anything but a P-256 key."""
    key = _loaded(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeysRefused("the fiscal signing key is not one for ECDSA on P-256")
    return EcdsaUnit(key, turnover_key)


def rsa_unit(pem: bytes) -> RsaUnit:
    """Raises KeysRefused for anything but an RSA key."""
    key = _loaded(pem)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeysRefused("the fiscal signing key is not an RSA key")
    return RsaUnit(key)


def _loaded(pem: bytes) -> object:
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise KeysRefused("the fiscal signing key is not a PEM key without a password") from error


def es256_by(pem: bytes) -> Callable[[bytes, bytes], bool]:
    """What tells whether 64 bytes are the ES256 signature of a message by a public key. Raises KeysRefused."""
    key = _public(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise KeysRefused("not a public key for ECDSA")
    return lambda message, signature: is_es256(key, message, signature)


def rsa_sha1_by(pem: bytes) -> Callable[[bytes, str], bool]:
    """The same for RSA with SHA-1; the signature is base64. Raises KeysRefused."""
    key = _public(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise KeysRefused("not a public RSA key")
    return lambda message, signature: is_rsa_sha1(key, message, base64.b64decode(signature))


def _public(pem: bytes) -> object:
    try:
        return load_pem_public_key(pem)
    except ValueError as error:
        raise KeysRefused("not a public key in PEM") from error


def is_es256(key: ec.EllipticCurvePublicKey, message: bytes, signature: bytes) -> bool:
    """Whether 64 bytes are the ES256 signature of a message."""
    r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return len(signature) == 2 * _HALF


def is_rsa_sha1(key: rsa.RSAPublicKey, message: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303  # the law says SHA-1
    except InvalidSignature:
        return False
    return True
