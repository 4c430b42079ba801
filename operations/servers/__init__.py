"""What sysops do to servers that run: list, apply, patch, roll, restore.

`fleet` knows the servers of a stack and what each is to hold, `remote` reaches one over SSH, `nodes` takes them out of
their balancers and back, and `rolling` is the one loop that works through them. A job (`apply`, `patch`, `roll`) says
what is due on a server, and does it. `restore` says from which backup, `restoring` goes through its steps, with what
`linodes` does at the cloud; `kept` are the servers that were replaced so. `windows` sets when backups are taken.
"""
