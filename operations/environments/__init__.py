"""Test environments: stacks of their own, made from the test stack's file, that end by themselves."""
