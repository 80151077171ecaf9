"""What another client does to the Route 53 of a moto server, with AWS's own client.

`moto.py URL COMMAND [ARGUMENT…]`; records are lines of `NAME. TTL TYPE VALUE`.
"""

import hashlib
import json
import sys
import urllib.request

import boto3

POLICY = ["route53:ListHostedZonesByName", "route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"]


def client(service):
    made = boto3.client(service, endpoint_url=sys.argv[1])
    made.meta.events.register("before-sign", say_digest)
    return made


def say_digest(request, **_):
    """Where nothing says the body's digest, moto takes the parameters of a request for its body."""
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(request.body or b"").hexdigest()


def setup():
    """Makes users, prints their keys, and has signatures and policies checked from here on."""
    users = {"operator": ["*"], "linecamp": POLICY, "reader": POLICY[:2]}
    keys = {}
    iam = client("iam")
    for user, actions in users.items():
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = [key["AccessKeyId"], key["SecretAccessKey"]]
    check_all = urllib.request.Request(f"{sys.argv[1]}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(check_all).close()
    print(json.dumps(keys))


def create_zone(zone):
    client("route53").create_hosted_zone(Name=zone, CallerReference=zone)


def zone_id(route53, zone):
    zones = route53.list_hosted_zones_by_name(DNSName=zone)["HostedZones"]
    return next(found["Id"] for found in zones if found["Name"] == f"{zone}.")


def record_sets(route53, zone):
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone_id(route53, zone))
    return [record_set for page in pages for record_set in page["ResourceRecordSets"]]


def plant(zone):
    route53 = client("route53")
    sets = {}
    for line in sys.stdin.read().splitlines():
        name, ttl, rtype, value = line.split(" ", 3)
        empty = {"Name": name, "Type": rtype, "TTL": int(ttl), "ResourceRecords": []}
        sets.setdefault((name, rtype), empty)["ResourceRecords"].append({"Value": value})
    change(route53, zone, "UPSERT", sets.values())


def uproot(zone, name, rtype):
    route53 = client("route53")
    found = [one for one in record_sets(route53, zone) if one["Name"] == f"{name}." and one["Type"] == rtype]
    change(route53, zone, "DELETE", found)


def change(route53, zone, action, sets):
    changes = [{"Action": action, "ResourceRecordSet": one} for one in sets]
    route53.change_resource_record_sets(HostedZoneId=zone_id(route53, zone), ChangeBatch={"Changes": changes})


def dump(zone):
    for one in record_sets(client("route53"), zone):
        for record in one.get("ResourceRecords", []):
            print(one["Name"], one["TTL"], one["Type"], record["Value"])


{"setup": setup, "create-zone": create_zone, "plant": plant, "uproot": uproot, "dump": dump}[sys.argv[2]](*sys.argv[3:])
