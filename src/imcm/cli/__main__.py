"""`python -m imcm.cli`."""

from imcm.cli import main

main()
