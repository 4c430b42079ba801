"""Alarms of Cloudflare: what it notices about pools and health checks goes to the board and to those on call."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.sdk import cloudflare
from components.topology import Alarms as Addresses


@dataclass(frozen=True)
class AlarmsArgs:
    """What is watched. `label` names the policies; `pool_ids` and `check_ids` may be empty."""

    account_id: str
    label: str
    addresses: Addresses
    pool_ids: Sequence[pulumi.Input[str]] = ()
    check_ids: Sequence[pulumi.Input[str]] = ()


class Alarms(pulumi.ComponentResource):
    """One notification policy for each kind of alarm that can happen.

    Resources: NotificationPolicy, one or two.
    """

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("chat-tonic:alarms:Alarms", name, None, opts)
        emails = [
            cloudflare.NotificationPolicyMechanismsEmailArgs(id=address)
            for address in sorted({args.addresses.board, args.addresses.on_call})
        ]
        filters = cloudflare.NotificationPolicyFiltersArgs
        watched = {
            "load_balancing_health_alert": args.pool_ids
            and filters(pool_ids=args.pool_ids, new_healths=["Healthy", "Unhealthy"], event_sources=["pool"]),
            "load_balancing_pool_enablement_alert": args.pool_ids
            and filters(pool_ids=args.pool_ids, enableds=["false", "true"]),
            "health_check_status_notification": args.check_ids
            and filters(health_check_ids=args.check_ids, statuses=["Healthy", "Unhealthy"]),
        }
        policies = {
            alert_type: cloudflare.NotificationPolicy(
                f"{name}-{alert_type.replace('_', '-')}",
                account_id=args.account_id,
                name=f"{args.label}: {alert_type.replace('_', ' ')}",
                alert_type=alert_type,
                enabled=True,
                mechanisms=cloudflare.NotificationPolicyMechanismsArgs(emails=emails),
                filters=filter_,
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
            for alert_type, filter_ in watched.items()
            if filter_
        }
        self.register_outputs({alert_type: policy.id for alert_type, policy in policies.items()})
