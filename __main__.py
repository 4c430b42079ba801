"""The program that Pulumi runs: load the settings, build the region, export what operations need."""

from pathlib import Path

import pulumi

from components import settings
from components.inputs import Inputs, deployed_generations
from components.region import Region, RegionArgs

name, config = pulumi.get_stack(), pulumi.Config(settings.PROJECT)
stack = settings.resolve(Path(__file__).parent, name, config.get_object("stack"))
settings.check_step(name, stack, deployed_generations())
region = Region("region", RegionArgs(name, stack, Inputs(stack)))

pulumi.export("hosts", settings.hosts(stack))
pulumi.export("generations", settings.generations(stack))
pulumi.export("ops", region.ops.address if region.ops else None)
pulumi.export("servers", {each: environment.servers for each, environment in region.environments.items()})
pulumi.export("balancers", {each: environment.balancers for each, environment in region.environments.items()})
pulumi.export("copies", {each: environment.copies for each, environment in region.environments.items()})
pulumi.export("contents", {each: environment.contents for each, environment in region.environments.items()})
if config.get_bool("sandbox"):
    pulumi.export("sandbox", True)  # a real run refuses a state that says so
