"""The networks behind published flow-log records, as inventory files.

Rule: what a publication tells of its network is as told; the rest is the plainest there is.
"""

from __future__ import annotations

from typing import Final


def network(
    vpc: str, subnets: str, more: str, *, account: str = "123456789010", head: str = "region: us-east-1"
) -> str:
    """An inventory of one VPC, as YAML."""
    return f'account: "{account}"\n{head}\nvpcs: [{vpc}]\nsubnets:\n{subnets}\n{more}\n'


def simple(ipv4: str, cidr: str) -> str:
    """One interface of AWS's first examples; their VPC and subnet are not told."""
    return network(
        "{id: vpc-00000001, cidrs: [172.31.0.0/16]}",
        f"- {{id: subnet-00000001, vpc: vpc-00000001, cidr: {cidr}, zone: use1-az1}}",
        f"interfaces: [{{id: eni-1235b8ca123456789, subnet: subnet-00000001, ipv4: [{ipv4}], device: eth0}}]",
    )


IPV6 = network(
    '{id: vpc-00000001, cidrs: [10.0.0.0/16, "2001:db8:1234:a100::/56"]}',
    '- {id: subnet-00000001, vpc: vpc-00000001, ipv6_cidr: "2001:db8:1234:a102::/64", zone: use1-az1}',
    "interfaces: [{id: eni-1235b8ca123456789, subnet: subnet-00000001, device: eth0, "
    'ipv6: ["2001:db8:1234:a102:3304:8879:34cf:4071"]}]',
)
SERVER = network(
    "{id: vpc-abcdefab012345678, cidrs: [10.0.0.0/16]}",
    "- {id: subnet-aaaaaaaa012345678, vpc: vpc-abcdefab012345678, cidr: 10.0.0.0/24, zone: use1-az1}",
    "instances: [{id: i-01234567890123456}]\n"
    "interfaces: [{id: eni-1235b8ca123456789, subnet: subnet-aaaaaaaa012345678, instance: i-01234567890123456, "
    "ipv4: [10.0.0.62], device: eth0}]",
)

MAC_INSTANCE, MAC_NAT, MAC_ROUTER = "02:00:00:00:01:05", "02:00:00:00:00:dc", "02:00:00:00:00:01"
_INSTANCE = (
    "{id: eni-1111aaaa2222bbbb3, subnet: subnet-aaaaaaaa012345678, instance: i-01234567890123456, "
    f'ipv4: [10.0.1.5], mac: "{MAC_INSTANCE}", device: eth0}}'
)
_BEHIND_NAT = """
- {id: subnet-aaaaaaaa012345678, vpc: vpc-abcdefab012345678, cidr: 10.0.1.0/24, zone: use1-az1}
- {id: subnet-bbbbbbbb012345678, vpc: vpc-abcdefab012345678, cidr: 10.0.0.0/24, zone: use1-az1}
"""
ZONAL = network(
    "{id: vpc-abcdefab012345678, cidrs: [10.0.0.0/16]}",
    _BEHIND_NAT,
    f"instances: [{{id: i-01234567890123456}}]\ninterfaces:\n- {_INSTANCE}\n"
    "- {id: eni-1235b8ca123456789, subnet: subnet-bbbbbbbb012345678, type: nat_gateway, role: gateway, "
    f'resource: nat-00000001, ipv4: [10.0.0.220], mac: "{MAC_NAT}", device: nat0}}',
)
REGIONAL = network(
    "{id: vpc-abcdefab012345678, cidrs: [10.0.0.0/16]}",
    _BEHIND_NAT,
    f"instances: [{{id: i-01234567890123456}}]\ninterfaces:\n- {_INSTANCE}\n"
    "regional_nat_gateways: [{id: nat-1234567890abcdef, vpc: vpc-abcdefab012345678, ipv4: [107.22.182.139], "
    f'mac: "{MAC_NAT}", device: nat0}}]',
)
TRANSIT = network(
    "{id: vpc-abcdefab012345678, cidrs: [10.40.0.0/16]}",
    """
- {id: subnet-11111111aaaaaaaaa, vpc: vpc-abcdefab012345678, cidr: 10.40.1.0/24, zone: use1-az1}
- id: subnet-22222222bbbbbbbbb
  vpc: vpc-abcdefab012345678
  cidr: 10.40.2.0/24
  zone: use1-az2
  routes: [{to: 10.20.0.0/16, via: tgw-00000001}]
""",
    """
instances: [{id: i-01234567890123456}]
interfaces:
- id: eni-33333333333333333
  subnet: subnet-22222222bbbbbbbbb
  instance: i-01234567890123456
  ipv4: [10.40.2.236]
  device: eth0
- id: eni-11111111111111111
  subnet: subnet-11111111aaaaaaaaa
  type: transit_gateway
  resource: tgw-00000001
  ipv4: [10.40.1.175]
  device: tgw1
- id: eni-22222222222222222
  subnet: subnet-22222222bbbbbbbbb
  type: transit_gateway
  resource: tgw-00000001
  ipv4: [10.40.2.31]
  device: tgw2
""",
)
TO_S3 = network(
    "{id: vpc-abcdefab012345678, cidrs: [10.0.0.0/16]}",
    "- {id: subnet-aaaaaaaa012345678, vpc: vpc-abcdefab012345678, cidr: 10.0.0.0/24, zone: apse2-az3, "
    "routes: [{to: 0.0.0.0/0, via: igw-00000001}]}",
    "instances: [{id: i-0c50d5961bcb2d47b}]\n"
    "interfaces: [{id: eni-1235b8ca123456789, subnet: subnet-aaaaaaaa012345678, instance: i-0c50d5961bcb2d47b, "
    "ipv4: [10.0.0.71], device: eth0}]",
    account="123456789012",
    head="region: ap-southeast-2\nservice_prefixes: ip-ranges.json",
)
IP_RANGES: Final = {
    "syncToken": "0",
    "createDate": "2026-01-01-00-00-00",
    "prefixes": [
        {"ip_prefix": prefix, "region": "ap-southeast-2", "service": service, "network_border_group": "ap-southeast-2"}
        for prefix, service in (
            ("52.95.128.0/21", "AMAZON"),
            ("52.95.128.0/21", "S3"),
            ("52.95.0.0/16", "EC2"),
        )
    ],
    "ipv6_prefixes": [],
}
"""As much of AWS's ip-ranges.json as EX-28 and EX-29 need."""

SEED = network(
    "{id: vpc-e0000002, cidrs: [172.31.0.0/16]}",
    "- {id: subnet-800000f3, vpc: vpc-e0000002, cidr: 172.31.16.0/20, zone: use1-az1}",
    "instances: [{id: i-0bf000000000000af}]\n"
    "interfaces: [{id: eni-080000000000000a5, subnet: subnet-800000f3, instance: i-0bf000000000000af, "
    "ipv4: [172.31.22.145], device: eth0}]",
    account="480000000093",
)
NOTEBOOK = network(
    "{id: vpc-00000001, cidrs: [172.31.0.0/16]}",
    "- {id: subnet-00000001, vpc: vpc-00000001, cidr: 172.31.32.0/20, zone: use1-az1}",
    "interfaces: [{id: eni-00000000, subnet: subnet-00000001, ipv4: [172.31.44.17], device: eth0}]",
    account="900000000000",
)
ENCRYPTED = network(
    "{id: vpc-00000001, cidrs: [10.0.0.0/16]}",
    "- {id: subnet-00000001, vpc: vpc-00000001, cidr: 10.0.128.0/20, zone: use1-az1}",
    "interfaces: [{id: eni-00000001, subnet: subnet-00000001, ipv4: [10.0.128.55], device: eth0}]",
)

QUIET: Final = network(
    "{id: vpc-00000001, cidrs: [172.31.0.0/16]}",
    "- {id: subnet-00000001, vpc: vpc-00000001, cidr: 172.31.16.0/20, zone: use1-az1}",
    "interfaces:\n"
    "- {id: eni-1235b8ca123456789, subnet: subnet-00000001, ipv4: [172.31.16.21], device: quiet0}\n"
    "- {id: eni-11111111aaaaaaaaa, subnet: subnet-00000001, ipv4: [172.31.16.22], device: eth0}",
)
"""The network of EX-03 and EX-04: one interface without traffic, and a neighbour that has some."""
