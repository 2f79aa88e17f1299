"""The explorer in the browser: each page is the same library call as a command. The server is :mod:`freeness.app.serve`.

Nothing is imported here: worker processes, which are started anew whenever one had to be ended, need no web framework.
"""
