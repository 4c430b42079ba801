"""A region from nothing: this repository at a commit, images by digest and the last copy give it again, timed."""
