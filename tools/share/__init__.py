"""Completions and man pages, made from the option parsers of the console commands.

In: the commands of pyproject.toml, their argparse parsers and click commands. Out: files
under a directory that is laid out like /usr/share. Run: python -m tools.share DIRECTORY
"""
