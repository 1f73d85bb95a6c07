"""`python -m ranlen` is the `ranlen` command."""

import sys

from ranlen.cli import main

sys.exit(main())
