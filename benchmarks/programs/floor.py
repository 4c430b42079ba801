"""The least a program with both SDKs can do: import them plainly, declare nothing."""

import pulumi  # noqa: F401
import pulumi_cloudflare  # noqa: F401
import pulumi_linode  # noqa: F401
