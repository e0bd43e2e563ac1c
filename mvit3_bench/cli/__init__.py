"""The command ``mvit3``: one module a command, whose ``add_arguments`` tells the flags and whose ``main`` runs.

Parsers are built without torch and MMEngine, so that ``--help`` is there at once: ``main`` imports what a command needs.
"""
