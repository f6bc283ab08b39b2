"""``python -m reader_study``."""

from reader_study.cli.study import main

if __name__ == "__main__":
    main()
