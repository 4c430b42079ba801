"""The engine door: the Pulumi engine's resource providers for Linode and Cloudflare, over the sandbox's model."""
