"""Clearbell for ccxt. Importing it makes `ccxt.clearbell` and `ccxt.async_support.clearbell`, as if ccxt had them."""

import ccxt
import ccxt.async_support

from . import asynchronous, synchronous

NAME = "clearbell"


def register() -> None:
    """Harmless to repeat."""
    for module, exchange in ((ccxt, synchronous.clearbell), (ccxt.async_support, asynchronous.clearbell)):
        setattr(module, NAME, exchange)
        if NAME not in module.exchanges:
            module.exchanges.append(NAME)


register()
