"""Keys and certificates of the wire: what a node proves itself with, and which certificate the coordinator shows."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from safehold.errors import InvalidError
from safehold.vault import durable


def make_node_key(path: Path) -> str:
    """Write a node's private key to a new file (P-384, PEM, readable by its owner alone) and return the public one."""
    key = ec.generate_private_key(ec.SECP384R1())
    durable.write_new(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return _public(key)


def read_node_key(path: Path) -> str:
    """Return the public half of a node's key, PEM.

    Raises:
        InvalidError: The file holds no such key.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidError("the file holds no key of a node", rule="federation.node-key")
    return _public(key)


def certificate_hash(path: Path) -> str:
    """Return the SHA-256 of a certificate's DER form, hex.

    Raises:
        InvalidError: The file holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()
    except ValueError:
        raise InvalidError("the file holds no certificate", rule="federation.cert") from None


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
