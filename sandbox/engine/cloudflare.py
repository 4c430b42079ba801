"""Cloudflare's resource types and its lookup of address ranges: SDK properties and API fields, what replaces.

What replaces is from the upstream provider's schema (v5); what is refused at preview was seen with the plugin.
"""

from sandbox.cloudflare import alerting, dns, health_checks, ip_ranges, load_balancing, origin_pulls, workers, zones
from sandbox.engine import sdk
from sandbox.engine.checks import Check, one_of
from sandbox.engine.resource import Life, Properties, Resource, Seconds
from sandbox.model import Body, Model

_QUICK = Seconds(create=0.5, update=0.5, delete=0.5)


def _weight(name: str, value: float) -> str | None:
    if 0 <= value <= 1:
        return None
    return f"Invalid Attribute Value. Attribute {name} value must be between 0.000000 and 1.000000, got: {value}"


_FRACTION: Check = _weight


class _Standing(Life):
    """What every zone has always: creating and deleting it are a change and nothing, as in the plugin."""

    def create(self, model: Model, account: str, kind: str, body: Body) -> Body:
        identity = _standing(body)
        given = {name: value for name, value in body.items() if name not in ("zone_id", "setting_id")}
        model.update(account, kind, identity, given)
        return self.read(model, account, kind, identity)

    def delete(self, model: Model, account: str, kind: str, identity: str) -> None:
        pass


class _Uploaded(Life):
    """What is made and changed by the same call, whether it is there or not."""

    def create(self, model: Model, account: str, kind: str, body: Body) -> Body:  # noqa: ARG002
        return workers.upload(model, account, body)


def _standing(body: Body) -> str:
    return f"{body['zone_id']}/{body['setting_id']}" if "setting_id" in body else str(body["zone_id"])


def _setting(identity: str, outputs: Properties) -> str:
    return identity if "/" in identity else f"{outputs['zoneId']}/{identity}"


# The filters of a notification policy are named in the plural by the SDK, in the singular by the API.
_FILTERS = {
    "healthCheckIds": "health_check_id",
    "poolIds": "pool_id",
    "newHealths": "new_health",
    "newStatuses": "new_status",
    "eventSources": "event_source",
    "enableds": "enabled",
    "statuses": "status",
    "services": "service",
    "products": "product",
    "slos": "slo",
}

RESOURCES = (
    Resource(
        "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
        "load_balancer_monitor",
        load_balancing.MONITOR,
        "load balancer monitor",
        _QUICK,
        replaces=frozenset({"accountId"}),
        checks={"type": one_of("http", "https", "tcp", "udp_icmp", "icmp_ping", "smtp")},
        above=("accountId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/loadBalancerPool:LoadBalancerPool",
        "load_balancer_pool",
        load_balancing.POOL,
        "load balancer pool",
        _QUICK,
        names={"origins.header.hosts": "Host"},
        chosen=frozenset({"origins.enabled", "origins.weight", "origins.port"}),
        replaces=frozenset({"accountId"}),
        unserved=frozenset({"healthSources", "monitorGroup"}),
        checks={
            "checkRegions": one_of(*load_balancing.POOL_REGIONS),
            "origins.weight": _FRACTION,
            "originSteering.policy": one_of("random", "hash", "least_outstanding_requests", "least_connections"),
        },
        above=("accountId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/loadBalancer:LoadBalancer",
        "load_balancer",
        load_balancing.LOAD_BALANCER,
        "load balancer",
        _QUICK,
        replaces=frozenset({"zoneId"}),
        unserved=frozenset({"rules"}),
        checks={
            "steeringPolicy": one_of(*load_balancing.STEERING),
            "sessionAffinity": one_of("none", "cookie", "ip_cookie", "header", ""),
        },
        above=("zoneId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/healthcheck:Healthcheck",
        "healthcheck",
        health_checks.NAME,
        "health check",
        _QUICK,
        replaces=frozenset({"zoneId"}),
        checks={
            "checkRegions": one_of(*health_checks.REGIONS),
            "httpConfig.method": one_of("GET", "HEAD"),
            "tcpConfig.method": one_of("connection_established"),
        },
        above=("zoneId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/dnsRecord:DnsRecord",
        "dns_record",
        dns.NAME,
        "DNS record",
        _QUICK,
        names={"settings.flattenCname": "flatten_cname"},
        sets=frozenset({"tags"}),
        replaces=frozenset({"zoneId", "type"}),
        derived={
            "meta": lambda _: "{}",
            "includeShadowMetadata": lambda _: False,
            "commentModifiedOn": lambda document: document["modified_on"] if document["comment"] else None,
            "tagsModifiedOn": lambda document: document["modified_on"] if document["tags"] else None,
        },
        unserved=frozenset({"data", "includeShadowMetadata", "privateRouting"}),
        checks={"type": one_of(*dns.TYPES)},
        above=("zoneId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/notificationPolicy:NotificationPolicy",
        "notification_policy",
        alerting.NAME,
        "notification policy",
        _QUICK,
        names={
            "mechanisms.emails": "email",
            "mechanisms.pagerduties": "pagerduty",
            "mechanisms.webhooks": "webhooks",
            **{f"filters.{name}": api for name, api in _FILTERS.items()},
        },
        replaces=frozenset({"accountId"}),
        above=("accountId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/zoneSetting:ZoneSetting",
        "zone_setting",
        zones.SETTING,
        "zone setting",
        _QUICK,
        replaces=frozenset({"settingId", "zoneId"}),
        derived={"enabled": lambda _: None, "timeRemaining": lambda _: None},
        unserved=frozenset({"enabled"}),
        identify=lambda document: str(document["setting_id"]),
        locate=_setting,
        above=("zoneId",),
        separator="/",
        life=_Standing(),
    ),
    Resource(
        "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings",
        "authenticated_origin_pulls_settings",
        origin_pulls.SETTINGS,
        "authenticated origin pulls settings",
        _QUICK,
        replaces=frozenset({"zoneId"}),
        identify=lambda document: str(document["zone_id"]),
        life=_Standing(),
    ),
    Resource(
        "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate",
        "authenticated_origin_pulls_certificate",
        origin_pulls.CERTIFICATE,
        "authenticated origin pulls certificate",
        _QUICK,
        names={"certificateId": "id"},
        replaces=frozenset({"certificate", "privateKey", "zoneId"}),
        above=("zoneId",),
        separator="/",
    ),
    Resource(
        "cloudflare:index/workersScript:WorkersScript",
        "workers_script",
        workers.SCRIPT,
        "Worker",
        _QUICK,
        sets=frozenset({"compatibilityFlags"}),
        replaces=frozenset({"accountId", "scriptName"}),
        unserved=frozenset(
            {
                *("annotations", "assets", "bindings", "bindingsInherit", "bodyPart", "cacheOptions", "contentFile"),
                *("contentSha256", "contentType", "exports", "files", "force", "keepAssets", "keepBindings", "limits"),
                *("migrations", "observability", "packageDependencies", "placement", "tailConsumers"),
            }
        ),
        checks={"usageModel": one_of("standard", "bundled", "unbound")},
        above=("accountId",),
        separator="/",
        life=_Uploaded(),
    ),
    Resource(
        "cloudflare:index/workersRoute:WorkersRoute",
        "workers_route",
        workers.ROUTE,
        "Workers route",
        _QUICK,
        replaces=frozenset({"zoneId"}),
        above=("zoneId",),
        separator="/",
    ),
)


def _get_ip_ranges(given: Properties) -> Properties:
    if given.get("networks"):
        raise ValueError("the sandbox knows the address ranges of Cloudflare's own network only, not of networks=")
    found = {**ip_ranges.ADDRESSES, "jdcloud_cidrs": [], "networks": None}
    described = sdk.result("pulumi_cloudflare", "get_ip_ranges", "GetIpRangesResult")
    return {name: found[known.python] for name, known in described.items()}


LOOKUPS = {"cloudflare:index/getIpRanges:getIpRanges": _get_ip_ranges}
