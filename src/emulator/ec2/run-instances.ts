import { AwsError } from '../aws-error.ts'
import type { Call, Operation } from '../call.ts'
import { readList, readTexts, type Params } from '../http/params.ts'
import { reasonOf, type Judge } from '../judge.ts'
import { requestTagKeys } from '../request-context.ts'
import { ec2Id } from '../state/identifiers.ts'
import type { RandomSource } from '../state/random.ts'
import type { Ec2Region, Instance, Subnet } from './ec2-state.ts'
import { instanceTypes } from './instance-types.ts'
import { instanceTree } from './instances.ts'
import { given, missing, readEc2Tags, type Ec2Gate } from './query.ts'

interface Launch {
  readonly imageId: string
  readonly instanceType: string
  readonly count: number
  readonly subnet: Subnet
  readonly securityGroupIds: readonly string[]
  readonly profileArn: string | null
  readonly tagsByType: ReadonlyMap<string, readonly (readonly [string, string])[]>
}

const instancesMax = 20
const instancesKeptMax = 5000

/** RunInstances: makes records. Every resource that a launch touches needs a right of its own. */
export function createRunInstances (
  { gate, judge, random }: { gate: Ec2Gate, judge: Judge, random: RandomSource }
): Operation {
  return (call) => {
    const { params, caller: { account } } = call
    const region = account.ec2.region(call.region)
    const launch = readLaunch(call, region)
    authorize(call, launch, region, gate)
    if (launch.profileArn !== null) checkPassRole(call, launch.profileArn, judge)
    gate.endDryRun(call)
    const clientToken = given(params, 'ClientToken') ?? null
    const before = clientToken === null
      ? []
      : [...region.instances.values()].filter((instance) => instance.clientToken === clientToken)
    const made = before.length > 0 ? before : create(call, launch, region, random)
    return {
      result: {
        reservationId: made[0]?.reservationId,
        ownerId: account.id,
        groupSet: [],
        instancesSet: made.map((instance) => instanceTree(instance, region, account, 'pending'))
      },
      notes: { responseElements: { instancesSet: { items: made.map(({ id }) => ({ instanceId: id })) } } }
    }
  }
}

function create (call: Call, launch: Launch, region: Ec2Region, random: RandomSource): readonly Instance[] {
  if (region.instances.size + launch.count > instancesKeptMax) {
    throw new AwsError(400, 'InstanceLimitExceeded', 'You have requested more instances than your current instance limit allows.')
  }
  const { params } = call
  const reservationId = ec2Id('r', random.bytes(8))
  const burstable = instanceTypes.get(launch.instanceType)?.burstable === true
  const defaultCredits = launch.instanceType.startsWith('t2.') ? 'standard' : 'unlimited'
  return Array.from({ length: launch.count }, () => {
    const instance: Instance = {
      id: ec2Id('i', random.bytes(8)),
      reservationId,
      imageId: launch.imageId,
      instanceType: launch.instanceType,
      state: 'running',
      launchedAtMs: call.nowMs,
      terminatedAtMs: null,
      subnetId: launch.subnet.id,
      zone: launch.subnet.zone,
      privateIp: `${launch.subnet.cidr.split('.').slice(0, 3).join('.')}.${10 + random.bytes(1).readUInt8() % 240}`,
      keyName: given(params, 'KeyName') ?? null,
      securityGroupIds: launch.securityGroupIds,
      profileArn: launch.profileArn,
      volumeId: ec2Id('vol', random.bytes(8)),
      networkInterfaceId: ec2Id('eni', random.bytes(8)),
      userData: given(params, 'UserData') ?? '',
      clientToken: given(params, 'ClientToken') ?? null,
      shutdownBehavior: given(params, 'InstanceInitiatedShutdownBehavior') ?? 'stop',
      disableApiTermination: given(params, 'DisableApiTermination') === 'true',
      disableApiStop: given(params, 'DisableApiStop') === 'true',
      ebsOptimized: given(params, 'EbsOptimized') === 'true',
      sourceDestCheck: true,
      monitoring: given(params, 'Monitoring.Enabled') === 'true',
      cpuCredits: given(params, 'CreditSpecification.CpuCredits') ?? (burstable ? defaultCredits : ''),
      metadataTokens: given(params, 'MetadataOptions.HttpTokens') ?? 'optional',
      metadataHopLimit: Number(given(params, 'MetadataOptions.HttpPutResponseHopLimit') ?? 1) || 1
    }
    region.instances.set(instance.id, instance)
    for (const [type, id] of [['instance', instance.id], ['volume', instance.volumeId], ['network-interface', instance.networkInterfaceId]] as const) {
      const tags = launch.tagsByType.get(type) ?? []
      if (tags.length > 0) region.tags.set(id, new Map(tags))
    }
    return instance
  })
}

function readLaunch ({ params, caller: { account } }: Call, region: Ec2Region): Launch {
  const imageId = given(params, 'ImageId')
  if (imageId === undefined) throw new AwsError(400, 'MissingParameter', 'The request must contain the parameter ImageId')
  if (!/^ami-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(imageId)) {
    throw new AwsError(400, 'InvalidAMIID.Malformed', `Invalid id: "${imageId.slice(0, 64)}"`)
  }
  const instanceType = given(params, 'InstanceType') ?? 'm5.large'
  if (!instanceTypes.has(instanceType)) {
    throw new AwsError(400, 'InvalidParameterValue', `Invalid value '${instanceType.slice(0, 64)}' for InstanceType.`)
  }
  const count = Number(given(params, 'MaxCount') ?? given(params, 'MinCount') ?? 1)
  if (!Number.isInteger(count) || count < 1 || count > instancesMax) {
    throw new AwsError(400, 'InvalidParameterValue', `Value (${given(params, 'MaxCount')?.slice(0, 16)}) for parameter maxCount is invalid. 1 to ${instancesMax} are allowed.`)
  }
  return {
    imageId,
    instanceType,
    count,
    subnet: readSubnet(params, region),
    securityGroupIds: readSecurityGroups(params, region),
    profileArn: readProfileArn(params, account),
    tagsByType: readTagSpecifications(params)
  }
}

function readSubnet (params: Params, region: Ec2Region): Subnet {
  const id = given(params, 'SubnetId') ?? given(params, 'NetworkInterface.1.SubnetId')
  const zone = given(params, 'Placement.AvailabilityZone')
  const found = region.subnets.find((subnet) =>
    id === undefined ? zone === undefined || subnet.zone === zone : subnet.id === id)
  if (found !== undefined) return found
  if (id === undefined) throw new AwsError(400, 'InvalidParameterValue', `Invalid availability zone: [${zone?.slice(0, 64)}]`)
  throw missing('InvalidSubnetID.NotFound', 'subnet', [id])
}

function readSecurityGroups (params: Params, region: Ec2Region): readonly string[] {
  const ids = [...readTexts(params, 'SecurityGroupId'), ...readTexts(params, 'NetworkInterface.1.SecurityGroupId')]
    .filter((id) => id !== '')
  const absent = ids.filter((id) => id !== region.securityGroupId)
  if (absent.length > 0) throw missing('InvalidGroup.NotFound', 'security group', absent)
  return [region.securityGroupId]
}

function readProfileArn (params: Params, account: Call['caller']['account']): string | null {
  const arn = given(params, 'IamInstanceProfile.Arn')
  const name = given(params, 'IamInstanceProfile.Name') ?? arn?.slice(arn.lastIndexOf('/') + 1)
  if (name === undefined) return null
  const profile = account.instanceProfiles.find(name)
  if (profile === null || (arn !== undefined && profile.arn !== arn)) {
    throw new AwsError(400, 'InvalidParameterValue', `Value (${name.slice(0, 128)}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`)
  }
  return profile.arn
}

/** Tags of `TagSpecification.N` by resource type. */
export function readTagSpecifications (params: Params): ReadonlyMap<string, readonly (readonly [string, string])[]> {
  return new Map(readList(params, 'TagSpecification').map((element) => [
    element.get('.ResourceType') ?? '',
    readEc2Tags(element, '.Tag')
  ]))
}

function authorize (call: Call, launch: Launch, region: Ec2Region, gate: Ec2Gate): void {
  const { account } = call.caller
  const arn = (owner: string, resource: string) => `arn:aws:ec2:${call.region}:${owner}:${resource}`
  const keys = { 'ec2:InstanceType': [launch.instanceType], 'ec2:AvailabilityZone': [launch.subnet.zone] }
  const resources: [string, string][] = [
    ['instance', arn(account.id, 'instance/*')],
    ['image', arn('', `image/${launch.imageId}`)],
    ['network-interface', arn(account.id, 'network-interface/*')],
    ['volume', arn(account.id, 'volume/*')],
    ['subnet', arn(account.id, `subnet/${launch.subnet.id}`)],
    ...launch.securityGroupIds.map((id): [string, string] => ['security-group', arn(account.id, `security-group/${id}`)])
  ]
  for (const [type, resource] of resources) {
    const tags = launch.tagsByType.get(type) ?? []
    const subnetKeys = type === 'subnet' ? { 'ec2:Vpc': [arn(account.id, `vpc/${region.vpcId}`)] } : {}
    gate.authorize(call, resource, { ...keys, ...subnetKeys, ...requestTagKeys(tags) })
    if (tags.length > 0) {
      gate.authorize({ ...call, action: 'CreateTags' }, resource, { ...requestTagKeys(tags), 'ec2:CreateAction': ['RunInstances'] })
    }
  }
}

/** A launch with a profile hands its role to EC2. */
function checkPassRole (call: Call, profileArn: string, judge: Judge): void {
  const { account } = call.caller
  const profile = account.instanceProfiles.list().find(({ arn }) => arn === profileArn)
  const role = profile === undefined || profile.role === null ? null : account.roles.find(profile.role)
  if (role === null) return
  const decision = judge.decide(call, 'iam:PassRole', role.arn, { 'iam:PassedToService': ['ec2.amazonaws.com'] })
  if (decision.allowed) return
  throw new AwsError(403, 'UnauthorizedOperation', `You are not authorized to perform this operation. User: ${call.caller.arn} is not authorized to perform: iam:PassRole on resource: ${role.arn} ${reasonOf(decision, 'iam:PassRole')}`)
}
