import { hash } from 'node:crypto'
import { AwsError } from '../aws-error.ts'
import type { Call, Operation } from '../call.ts'
import type { Params } from '../http/params.ts'
import type { Judge } from '../judge.ts'
import { requestTagKeys } from '../request-context.ts'
import { ec2Id } from '../state/identifiers.ts'
import type { RandomSource } from '../state/random.ts'
import type { Ec2Region, Instance } from './ec2-state.ts'
import { instanceTypes } from './instance-types.ts'
import { instanceTree } from './instance-view.ts'
import { forgetTerminated } from './instances.ts'
import { instanceLimit, readLaunch, type Launch } from './launch.ts'
import { checkPassRole } from './pass-role.ts'
import { given, type Ec2Gate } from './query.ts'

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
    forgetTerminated(region, call.nowMs)
    const before = findEarlier(params, region)
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

/** What an earlier request with the same client token made. @throws AwsError IdempotentParameterMismatch. */
function findEarlier (params: Params, region: Ec2Region): readonly Instance[] {
  const clientToken = given(params, 'ClientToken')
  if (clientToken === undefined) return []
  const found = [...region.instances.values()].filter((instance) => instance.clientToken === clientToken)
  const same = launchHash(params)
  if (found.some((instance) => instance.launchHash !== same)) {
    throw new AwsError(400, 'IdempotentParameterMismatch', 'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).')
  }
  return found
}

function launchHash (params: Params): string {
  return hash('sha256', JSON.stringify([...params].toSorted(([a], [b]) => a < b ? -1 : 1)))
}

function create (call: Call, launch: Launch, region: Ec2Region, random: RandomSource): readonly Instance[] {
  if (region.instances.size + launch.count > instancesKeptMax) throw instanceLimit()
  const { params } = call
  const reservationId = ec2Id('r', random.bytes(8))
  const burstable = instanceTypes.get(launch.instanceType)?.burstable === true
  const defaultCredits = launch.instanceType.startsWith('t2.') ? 'standard' : 'unlimited'
  const madeBy = launchHash(params)
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
      rootVolume: launch.rootVolume,
      networkInterfaceId: ec2Id('eni', random.bytes(8)),
      userData: given(params, 'UserData') ?? '',
      clientToken: given(params, 'ClientToken') ?? null,
      launchHash: madeBy,
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
