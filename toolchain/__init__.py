"""The programs this project runs, pinned, and how each is obtained. Knows nothing of the other rooms.

Pins are raised where they stand: a Go program in its module (`go get -tool PACKAGE@VERSION`, then `go mod
tidy`, in its folder of `go/`), Go itself in `go.lock`, which is made the way requirements.lock is.
"""
