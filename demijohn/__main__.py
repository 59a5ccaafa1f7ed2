"""`python -m demijohn` is the command `demijohn`."""

from demijohn.cli import main

if __name__ == "__main__":
    main(prog_name="demijohn")
