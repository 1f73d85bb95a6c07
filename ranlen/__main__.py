"""`python -m ranlen` is the `ranlen` command."""

import sys

from ranlen.cli.main import main

sys.exit(main())
