"""A local Linode and Cloudflare: one process, one model of both clouds in one file, for runs without an account.

`process` starts and stops it; `model` and `store` hold the objects, in the shape of the clouds' own REST APIs;
`linode` and `cloudflare` hold each service's rules; `engine` is the door through which the Pulumi engine comes.
"""
