"""Run a program that knows its exchanges from ccxt: python -m clearbell_ccxt freqtrade trade --config config.json"""

import runpy
import sys

from . import register

if len(sys.argv) < 2:
    sys.exit(__doc__)
del sys.argv[0]
register()
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
