"""The command line `isthmus` over both packages, one module per command.

The one place in `detector` that may import `service`: only inside the functions of commands that serve or call.
"""
