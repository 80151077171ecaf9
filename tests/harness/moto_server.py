"""Starts moto's server, with its check of a batch of changes to a hosted zone as AWS documents it.

moto compares a batch with all batches before it, and not with what the zone holds. It leaves out of a list of hosted
zones by name whether the list goes on, which AWS always says.
"""

from moto.core.responses import ActionResult
from moto.route53 import models, responses
from moto.route53.exceptions import Route53ClientError
from moto.server import main

change = models.Route53Backend.change_resource_record_sets


def change_checked(self, zoneid, change_list):
    there = {key(one.name, one.type): (one.ttl, sorted(one.records)) for one in self.get_hosted_zone(zoneid).rrsets}
    for one in change_list:
        check(there, one["Action"], one["ResourceRecordSet"])
    return change(self, zoneid, change_list)


def check(there, action, record_set):
    """Does one change to `there`, or says why it cannot be done."""
    name, rtype = key(record_set["Name"], record_set["Type"])
    content = (record_set.get("TTL"), sorted(record["Value"] for record in record_set.get("ResourceRecords", [])))
    which = f"[name='{name}.', type='{rtype}']"
    found = there.get((name, rtype))
    if action == "DELETE":
        if found is None:
            refuse(f"Tried to delete resource record set {which} but it was not found")
        if found != content:
            refuse(f"Tried to delete resource record set {which} but the values provided do not match the current values")
        del there[name, rtype]
        return
    if action == "CREATE" and found is not None:
        refuse(f"Tried to create resource record set {which} but it already exists")
    others = [other for other_name, other in there if other_name == name and other != rtype]
    if (rtype == "CNAME" and others) or "CNAME" in others:
        refuse(f"RRSet of type {rtype} with DNS name {name}. is not permitted as it conflicts with other records")
    there[name, rtype] = content


def key(name, rtype):
    return name.strip(".").lower(), rtype


def refuse(message):
    raise Route53ClientError("InvalidChangeBatch", f"[{message}]")


def list_whole(self):
    name, zones = self.backend.list_hosted_zones_by_name(self._get_param("DNSName"))
    return ActionResult({"DNSName": name, "HostedZones": zones, "IsTruncated": False, "MaxItems": "100"})


responses.Route53.list_hosted_zones_by_name = list_whole
models.Route53Backend.change_resource_record_sets = change_checked
models.ChangeList.__contains__ = lambda self, change: False
main()
