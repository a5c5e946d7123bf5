"""Calls of boto3 against an emulator: an independent signer, serializer and parser. Prints one line of JSON."""
import datetime
import json
import sys
import urllib.request

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

given = json.load(sys.stdin)
config = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20)
results = {}


def client(name, keys, region="us-east-1"):
    return boto3.client(
        name, endpoint_url=given["endpoint"], region_name=region, config=config,
        aws_access_key_id=keys["accessKeyId"], aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys.get("sessionToken"))


def refused(call, **params):
    try:
        call(**params)
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"],
                error.response["Error"]["Message"]]
    return None


def keys_of(credentials):
    return {"accessKeyId": credentials["AccessKeyId"], "secretAccessKey": credentials["SecretAccessKey"],
            "sessionToken": credentials["SessionToken"]}


broker = client("sts", given["keys"], "eu-central-1")
results["identity"] = broker.get_caller_identity()["Arn"]
results["noExternalId"] = refused(broker.assume_role, RoleArn=given["roleArn"], RoleSessionName="run-1")
assumed = broker.assume_role(
    RoleArn=given["roleArn"], RoleSessionName="run-1", ExternalId=given["externalId"], DurationSeconds=900,
    Tags=[{"Key": "run", "Value": "1 + 1"}], SourceIdentity="lease-1")
session = keys_of(assumed["Credentials"])
results["assumed"] = assumed["AssumedRoleUser"]["Arn"]
results["lifeSeconds"] = (assumed["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
results["sessionIdentity"] = client("sts", session).get_caller_identity()["Arn"]

presigned = client("sts", session).generate_presigned_url("get_caller_identity", HttpMethod="GET", ExpiresIn=60)
results["presigned"] = urllib.request.urlopen(presigned).read().decode()

ec2 = client("ec2", session, "eu-west-1")
results["regions"] = "eu-west-1" in [region["RegionName"] for region in ec2.describe_regions()["Regions"]]
results["vpcs"] = [vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]]
instance = ec2.run_instances(
    ImageId="ami-0123456789abcdef0", InstanceType="t3.micro", MinCount=1, MaxCount=1,
    TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "one"}]}])["Instances"][0]
ec2.create_tags(Resources=[instance["InstanceId"]], Tags=[{"Key": "Stage", "Value": "a&b"}])
found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["on*"]}])["Reservations"][0]["Instances"][0]
results["instance"] = [found["State"]["Name"], sorted((tag["Key"], tag["Value"]) for tag in found["Tags"])]
ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]])
results["terminated"] = ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])["TerminatingInstances"][0]["CurrentState"]["Name"]
ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance["InstanceId"]])
results["dryRun"] = [refused(ec2.run_instances, ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1, DryRun=True),
                     refused(ec2.describe_vpcs, DryRun=True)]
results["noInstance"] = refused(ec2.terminate_instances, InstanceIds=["i-00000000000000000"])

results["zones"] = [zone["Name"] for page in client("route53", session).get_paginator("list_hosted_zones").paginate(
    PaginationConfig={"PageSize": 1}) for zone in page["HostedZones"]]
results["buckets"] = [bucket["Name"] for bucket in client("s3", session).list_buckets()["Buckets"]]

iam = client("iam", session)
results["users"] = sorted(user["UserName"] for page in iam.get_paginator("list_users").paginate(
    PaginationConfig={"PageSize": 1}) for user in page["Users"])
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": given["roleArn"]}, "Action": "sts:AssumeRole"}]}
role = iam.create_role(RoleName="made", AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=7200,
                       Tags=[{"Key": "by", "Value": "boto3"}])["Role"]
results["trust"] = iam.get_role(RoleName="made")["Role"]["AssumeRolePolicyDocument"] == trust
allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}]}
iam.put_role_policy(RoleName="made", PolicyName="look", PolicyDocument=json.dumps(allow))
results["inline"] = iam.get_role_policy(RoleName="made", PolicyName="look")["PolicyDocument"] == allow
results["summary"] = iam.get_account_summary()["SummaryMap"]["Users"]
results["noRole"] = refused(iam.get_role, RoleName="absent")
results["waited"] = iam.get_waiter("role_exists").wait(RoleName="made")
results["badDocument"] = refused(iam.put_role_policy, RoleName="made", PolicyName="bad", PolicyDocument="{")
iam.delete_role_policy(RoleName="made", PolicyName="look")
iam.delete_role(RoleName="made")

bad = dict(given["keys"], secretAccessKey="x" * 40)
results["badSecret"] = {name: refused(getattr(client(name, bad), call)) for name, call in [
    ("sts", "get_caller_identity"), ("iam", "list_users"), ("ec2", "describe_regions"),
    ("route53", "list_hosted_zones"), ("s3", "list_buckets")]}


class Later(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return datetime.datetime.utcnow() + datetime.timedelta(hours=1)


signer = sys.modules[botocore.auth.AUTH_TYPE_MAPS["v4"].__module__]
real = signer.datetime
signer.datetime = type("module", (), {"datetime": Later, "timezone": datetime.timezone})
results["skewed"] = {name: refused(getattr(client(name, given["keys"]), call)) for name, call in [
    ("sts", "get_caller_identity"), ("ec2", "describe_regions")]}
signer.datetime = real

urllib.request.urlopen(urllib.request.Request(
    given["endpoint"] + "/_emulator/clock", data=b'{"advanceSeconds": 901}', method="POST"))
results["expired"] = {name: refused(getattr(client(name, session), call)) for name, call in [
    ("sts", "get_caller_identity"), ("iam", "list_users"), ("ec2", "describe_regions"), ("s3", "list_buckets")]}
print(json.dumps(results))
