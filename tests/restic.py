"""A restic repository that opens at once: empty, with a key that is cheap to derive.

`restic init` makes keys that take it half a second to derive, each time that it opens the repository. Everything else
is as restic makes it: this one was made with the parameters of restic's own tests (`TestUseLowSecurityKDFParameters`).
"""

import base64
import hashlib
import json
from pathlib import Path

KEY = "the key of the tests"

_CONFIG = (
    "D8yao+lbuqiy2gW58KoYYKmjFlby4HOyWcAh6E5RKGWtaxUKHsaBmYmodZ5OYp7SZz+6EB8PypL8FjdX176U7MdTGbQINRz/dEod8gCI"
    "x+ebyH8GqkwtlduOCsiEl0rpsQ7TUhwurm9yPweDqYLMb1DmBnW9afGbHGzBs9CcAsgU0Cal+64idFzuktpuNqQDxGPrHGJa8dCCiP0="
)
_OPENED_BY = {
    "created": "2026-01-01T00:00:00Z",
    "kdf": "scrypt",
    "N": 128,
    "r": 1,
    "p": 1,
    "salt": "OWoJWhBdB7hEcJod0YO07xgR15r557hKISuiID10hFur8RoMSdmETVvT5VZM9VyqDXnGkyvU1hwgJbAzwHJhIA==",
    "data": "YEZRDTr0xMIBBfksKVGmPu9m1B8ZFA8O8+iIdILCxvdNNB+AJ6eXouOH153n3UkadiDLvDTLpsgkPIjyweLZ6MFP7xcEnbvrPOXq"
    "9Qyt4OiRLqvsXW9RiwCbZ0LcVTIhGj1jUHboclnz+QsiegGScEQL3NTUnhezExvCd+8KdejltYTMR0SeC6Ks//quG1oR3nLvDXSD"
    "XHeQsvEqNyl0kQ==",
}


def make(bucket: Path) -> None:
    """Make the repository in a folder, which may be a bucket of `s3.served`."""
    key = json.dumps(_OPENED_BY, separators=(",", ":")).encode()
    files = {"config": base64.b64decode(_CONFIG), f"keys/{hashlib.sha256(key).hexdigest()}": key}
    for path, content in files.items():
        bucket.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        bucket.joinpath(path).write_bytes(content)
