"""The program that Pulumi runs: load the settings, build the region, export what operations need."""

import datetime as dt
from pathlib import Path

import pulumi

from components import parity, settings
from components.inputs import Inputs, deployed_outputs
from components.region import Region, RegionArgs

name, config = pulumi.get_stack(), pulumi.Config(settings.PROJECT)
where, differences = Path(__file__).parent, config.get_object("stack")
stack = settings.resolve(where, name, differences)
deployed = deployed_outputs()
settings.check_step(name, stack, deployed)
region = Region("region", RegionArgs(name, stack, Inputs(stack)))

pulumi.export("hosts", settings.hosts(stack))
pulumi.export("generations", settings.generations(stack))
pulumi.export("databases", settings.databases(stack))
pulumi.export("failover", settings.serving(name, stack))
# Compared is what a standby is when it serves, whatever there is of it by now.
comparable = parity.comparable(settings.declared(where, name, differences))
record = parity.record(comparable, deployed.get(parity.OUTPUT) or {}, dt.datetime.now(dt.UTC))
pulumi.export(parity.OUTPUT, record)
pulumi.export("ops", region.ops.address if region.ops else None)
pulumi.export("servers", {each: environment.servers for each, environment in region.environments.items()})
pulumi.export("balancers", {each: environment.balancers for each, environment in region.environments.items()})
pulumi.export("pools", {each: environment.pools for each, environment in region.environments.items()})
pulumi.export("copies", {each: environment.copies for each, environment in region.environments.items()})
pulumi.export("contents", {each: environment.contents for each, environment in region.environments.items()})
if region.contents is not None:
    pulumi.export("opsContents", region.contents)
if config.get_bool("sandbox"):
    pulumi.export("sandbox", True)  # a real run refuses a state that says so
