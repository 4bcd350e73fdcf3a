"""Keeps passwords and tokens as digests that cannot be turned back."""

import hashlib
import hmac
import secrets

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 5
_SCRYPT_BYTES = 64 << 20
_LONGEST = 1024


def digest_password(password: str) -> str:
    """Returns what is kept of a password: the cost, a salt and the scrypt digest (RFC 7914)."""
    salt = secrets.token_bytes(16)
    return (
        f"scrypt${_SCRYPT_N}${_SCRYPT_R}${_SCRYPT_P}${salt.hex()}${_scrypt(password, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P).hex()}"
    )


def is_password(password: str, kept: str | None) -> bool:
    """Says whether a password is the one that was kept; without one it takes as long and says no."""
    if kept is None:
        _scrypt(password, b"nobody", _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
        return False
    _, n, r, p, salt, digest = kept.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p)).hex(), digest)


def new_token() -> str:
    """Returns a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def digest_token(token: str) -> str:
    """Returns what is kept of a token; it is random, so that a plain digest is enough."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    given = password[:_LONGEST].encode(errors="surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=n, r=r, p=p, maxmem=_SCRYPT_BYTES)
