"""The same resources without components, with the imports that our program has."""

from benchmarks.programs.replay import declare
from components.sdk import cloudflare, linode

declare({"cloudflare": cloudflare, "linode": linode})
