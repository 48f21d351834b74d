"""The inventory that `flowglass inventory init` writes: small, commented, and valid as it is.

Rule: a test loads it, so it can never be wrong.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = """\
# Flowglass inventory: who owns which address, and how packets leave.
# Check it with: flowglass inventory check FILE

account: "123456789012"          # 12 digits, in quotes; the owner of the flow logs
region: eu-west-1
# service_prefixes: ip-ranges.json   # https://ip-ranges.amazonaws.com/ip-ranges.json, saved beside this file
exclusions: aws                  # leave out what AWS never logs; none records it

vpcs:
  - id: vpc-0123456789abcdef0
    cidrs: [172.31.0.0/16, "2001:db8:1234::/56"]

route_tables:
  - id: rtb-0123456789abcdef0
    routes:                      # the VPC's own CIDRs are always local
      - {to: 0.0.0.0/0, via: nat-0123456789abcdef0}
      - {to: 10.20.0.0/16, via: pcx-0123456789abcdef0, region: eu-central-1}   # a peer in another Region
      # - {service: S3, via: vpce-0123456789abcdef0}     # a gateway endpoint; needs service_prefixes

subnets:
  - id: subnet-0123456789abcdef0
    vpc: vpc-0123456789abcdef0
    cidr: 172.31.16.0/20
    ipv6_cidr: "2001:db8:1234::/64"
    zone: euw1-az1               # the zone's id
    route_table: rtb-0123456789abcdef0
  - id: subnet-0123456789abcdef1
    vpc: vpc-0123456789abcdef0
    cidr: 172.31.32.0/20
    zone: euw1-az1
    routes: [{to: 0.0.0.0/0, via: igw-0123456789abcdef0}]   # instead of route_table
    aws_reserved: false          # true: router (base+1) and resolver (VPC base+2) are AWS's and never logged

auto_scaling_groups:
  - {name: web, tags: {stage: production}}

instances:
  - id: i-0123456789abcdef0
    auto_scaling_group: web
    tags: {Name: web-1}

interfaces:
  - id: eni-0123456789abcdef0
    subnet: subnet-0123456789abcdef0
    instance: i-0123456789abcdef0
    ipv4: [172.31.22.145, 172.31.22.146]        # the first is the primary
    ipv6: ["2001:db8:1234::145"]
    prefixes: [172.31.24.0/28]                  # for containers
    mac: "02:00:00:00:00:01"
    device: eth0                 # the capture point that is this interface
    groups: [sg-0123456789abcdef0]
    tags: {Name: web-1-eth0}
  - id: eni-0123456789abcdef1
    subnet: subnet-0123456789abcdef0
    ipv4: [172.31.22.150]
    mac: "02:00:00:00:00:02"
    device: tap0
    role: guest                  # a tap or veth that leads to a guest: its direction is inverted
    from: 2026-01-01T00:00:00Z   # validity, where addresses, MACs or devices change hands
    until: 2027-01-01T00:00:00Z
  - id: eni-0123456789abcdef2
    subnet: subnet-0123456789abcdef1
    type: nat_gateway            # its role is gateway, and its own address stands in for others'
    resource: nat-0123456789abcdef0
    ipv4: [172.31.32.10]
    mac: "02:00:00:00:00:03"
"""


def example() -> str:
    """A commented inventory file to begin with."""
    return _TEXT
