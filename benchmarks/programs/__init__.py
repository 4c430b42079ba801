"""Programs for the engine to run in place of ours. Nothing here is imported by what is measured against them."""
