"""The zone's own settings: how Cloudflare reaches our origins, and proves that it is Cloudflare, for us."""

from dataclasses import dataclass

import pulumi

from components.sdk import cloudflare

# Cloudflare to origin: a valid certificate is required. Visitor to Cloudflare: TLS 1.2 or newer, always.
_SETTINGS = {"ssl": "strict", "min_tls_version": "1.2", "always_use_https": "on"}


@dataclass(frozen=True)
class EdgeArgs:
    """The zone, and the client certificate (PEM, and its secret key) that Cloudflare presents to our origins."""

    zone_id: str
    pull_certificate: str
    pull_key: pulumi.Output[str]


class Edge(pulumi.ComponentResource):
    """Zone settings and Authenticated Origin Pulls with our own certificate: the shared one is every customer's.

    Resources: ZoneSetting for each setting, AuthenticatedOriginPullsCertificate, AuthenticatedOriginPullsSettings.
    """

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:edge:Edge", name, None, opts)
        for setting, value in _SETTINGS.items():
            cloudflare.ZoneSetting(
                f"{name}-{setting.replace('_', '-')}",
                zone_id=args.zone_id,
                setting_id=setting,
                value=value,
                opts=pulumi.ResourceOptions(parent=self),
            )
        certificate = cloudflare.AuthenticatedOriginPullsCertificate(
            f"{name}-pull-certificate",
            zone_id=args.zone_id,
            certificate=args.pull_certificate,
            private_key=args.pull_key,
            opts=pulumi.ResourceOptions(parent=self, additional_secret_outputs=["privateKey"]),
        )
        cloudflare.AuthenticatedOriginPullsSettings(
            f"{name}-pulls",
            zone_id=args.zone_id,
            enabled=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[certificate]),
        )
        self.register_outputs({"pull_certificate_id": certificate.certificate_id})
