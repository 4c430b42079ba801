"""The same resources without components, imports as anybody would write them."""

import pulumi_cloudflare as cloudflare
import pulumi_linode as linode

from benchmarks.programs.replay import declare

declare({"cloudflare": cloudflare, "linode": linode})
