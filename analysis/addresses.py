"""Addresses of databases and servers: how they are shown, never with their password."""

import re
from urllib.parse import unquote

HIDDEN = "***"
_CREDENTIALS = re.compile(r"(://[^:/@\s]*):(\S*)@")
"""`://user:password@`; greedy, since a password may hold a slash or an at sign."""
_QUERY = re.compile(r"([?&]\w*(?:password|passwd|pwd|token|secret)=)([^&\s'\"]+)", re.IGNORECASE)


def masked(text: str, addresses: tuple[str, ...] = ()) -> str:
    """Hides every password in a text that is to be printed or kept.

    Args:
        text: An address, or a message that may quote one.
        addresses: Addresses whose passwords the message may quote on their own, as a driver does.
    """
    text = _CREDENTIALS.sub(rf"\1:{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    # The longest first: one secret may be a part of another.
    for secret in sorted(set(_secrets(addresses)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def without_password(address: str) -> str:
    """The address with its passwords left out, for files: a driver then looks elsewhere for it."""
    return _QUERY.sub(r"\1", _CREDENTIALS.sub(r"\1@", address))


def first_line(error: BaseException, address: str) -> str:
    """What an error says, in a line and without the address's password."""
    lines = (str(error) or type(error).__name__).splitlines()
    return masked(lines[0], (address,))


def _secrets(addresses: tuple[str, ...]) -> list[str]:
    found = []
    for address in addresses:
        for pattern in (_CREDENTIALS, _QUERY):
            for match in pattern.finditer(address):
                found += [match.group(2), unquote(match.group(2))]
    return [secret for secret in found if secret]
