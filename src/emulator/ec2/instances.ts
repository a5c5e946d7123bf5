import type { Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import { resourceTagKeys } from '../request-context.ts'
import type { Account } from '../state/world.ts'
import type { Ec2Region, Instance, InstanceStateName } from './ec2-state.ts'
import { missing, pageOf, passesFilters, readFilters, requireIds, tagSet, type Ec2Gate, type Facets } from './query.ts'
import { AwsError } from '../aws-error.ts'

const codes: Readonly<Record<InstanceStateName, number>> = {
  pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80
}

const terminatedKeptMs = 3_600_000

export function stateTree (name: InstanceStateName): Tree {
  return { code: codes[name], name }
}

/** DescribeInstances, DescribeInstanceStatus, and what stops, starts and ends instances. */
export function createInstanceOperations (gate: Ec2Gate): Operations {
  return {
    DescribeInstances (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      forgetTerminated(region, call.nowMs)
      const wanted = readInstances(region, readTexts(params, 'InstanceId'))
      const filters = readFilters(params)
      const found = wanted.filter((instance) =>
        passesFilters(filters, facetsOf(instance, region), region.tags.get(instance.id) ?? new Map()))
      const { items, nextToken } = pageOf(params, found)
      return { result: { reservationSet: reservations(items, region, account), nextToken } }
    },

    DescribeInstanceStatus (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const all = params.get('IncludeAllInstances') === 'true'
      const found = readInstances(region, readTexts(params, 'InstanceId'))
        .filter(({ state }) => all || state === 'running')
      const { items, nextToken } = pageOf(params, found)
      const status = { status: 'ok', details: [{ name: 'reachability', status: 'passed' }] }
      return {
        result: {
          instanceStatusSet: items.map(({ id, zone, state }) => ({
            instanceId: id,
            availabilityZone: zone,
            instanceState: stateTree(state),
            systemStatus: status,
            instanceStatus: status
          })),
          nextToken
        }
      }
    },

    TerminateInstances: transition(gate, 'terminated', 'shutting-down'),
    StopInstances: transition(gate, 'stopped', 'stopping'),
    StartInstances: transition(gate, 'running', 'pending'),

    MonitorInstances: monitoring(gate, true),
    UnmonitorInstances: monitoring(gate, false)
  }
}

/** The instances with these ids, or all. @throws AwsError InvalidInstanceID.Malformed, InvalidInstanceID.NotFound. */
export function readInstances (region: Ec2Region, ids: readonly string[]): readonly Instance[] {
  if (ids.length === 0) return [...region.instances.values()]
  const malformed = ids.find((id) => !/^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
  if (malformed !== undefined) {
    throw new AwsError(400, 'InvalidInstanceID.Malformed', `Invalid id: "${malformed.slice(0, 64)}"`)
  }
  const absent = ids.filter((id) => !region.instances.has(id))
  if (absent.length > 0) throw missing('InvalidInstanceID.NotFound', 'instance', absent)
  return ids.flatMap((id) => region.instances.get(id) ?? [])
}

/** Condition keys of an instance that is acted on. */
export function instanceKeys (instance: Instance, region: Ec2Region) {
  return {
    ...resourceTagKeys('ec2', region.tags.get(instance.id) ?? new Map()),
    'ec2:InstanceType': [instance.instanceType],
    'ec2:AvailabilityZone': [instance.zone]
  }
}

function transition (gate: Ec2Gate, to: Instance['state'], shown: InstanceStateName): Operations[string] {
  return (call) => {
    const { account } = call.caller
    const region = account.ec2.region(call.region)
    const ids = requireIds(call.params, 'InstanceId')
    for (const id of ids) {
      const instance = region.instances.get(id)
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
        instance === undefined ? {} : instanceKeys(instance, region))
    }
    gate.endDryRun(call)
    const instances = readInstances(region, ids)
    const ended = instances.find(({ state }) => state === 'terminated')
    if (ended !== undefined && to !== 'terminated') {
      throw new AwsError(400, 'IncorrectInstanceState', `This instance '${ended.id}' is not in a state from which it can be ${to === 'stopped' ? 'stopped' : 'started'}.`)
    }
    const protectedOne = instances.find(({ disableApiTermination, disableApiStop }) =>
      (to === 'terminated' && disableApiTermination) || (to === 'stopped' && disableApiStop))
    if (protectedOne !== undefined) {
      throw new AwsError(400, 'OperationNotPermitted', `The instance '${protectedOne.id}' may not be ${to}. Modify its '${to === 'terminated' ? 'disableApiTermination' : 'disableApiStop'}' instance attribute and try again.`)
    }
    for (const instance of instances) {
      region.instances.set(instance.id, { ...instance, state: to, terminatedAtMs: to === 'terminated' ? call.nowMs : null })
    }
    return {
      result: {
        instancesSet: instances.map(({ id, state }) => ({
          instanceId: id,
          currentState: stateTree(state === to ? to : shown),
          previousState: stateTree(state)
        }))
      }
    }
  }
}

function monitoring (gate: Ec2Gate, enabled: boolean): Operations[string] {
  return (call) => {
    const { account } = call.caller
    const region = account.ec2.region(call.region)
    const ids = requireIds(call.params, 'InstanceId')
    for (const id of ids) gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`)
    gate.endDryRun(call)
    const instances = readInstances(region, ids)
    for (const instance of instances) region.instances.set(instance.id, { ...instance, monitoring: enabled })
    return {
      result: {
        instancesSet: instances.map(({ id }) => ({ instanceId: id, monitoring: { state: enabled ? 'pending' : 'disabling' } }))
      }
    }
  }
}

function forgetTerminated (region: Ec2Region, nowMs: number): void {
  for (const { id, terminatedAtMs } of region.instances.values()) {
    if (terminatedAtMs === null || terminatedAtMs + terminatedKeptMs > nowMs) continue
    region.instances.delete(id)
    region.tags.delete(id)
  }
}

function facetsOf (instance: Instance, region: Ec2Region): Facets {
  return {
    'instance-id': [instance.id],
    'instance-state-name': [instance.state],
    'instance-state-code': [String(codes[instance.state])],
    'instance-type': [instance.instanceType],
    'image-id': [instance.imageId],
    'subnet-id': [instance.subnetId],
    'vpc-id': [region.vpcId],
    'availability-zone': [instance.zone],
    'key-name': [instance.keyName],
    'private-ip-address': [instance.privateIp],
    'reservation-id': [instance.reservationId],
    'client-token': [instance.clientToken],
    'instance.group-id': instance.securityGroupIds,
    'iam-instance-profile.arn': [instance.profileArn]
  }
}

function reservations (instances: readonly Instance[], region: Ec2Region, account: Account): readonly Tree[] {
  return [...Map.groupBy(instances, ({ reservationId }) => reservationId)].map(([reservationId, members]) => ({
    reservationId,
    ownerId: account.id,
    groupSet: [],
    instancesSet: members.map((instance) => instanceTree(instance, region, account, instance.state))
  }))
}

/** An instance as DescribeInstances and RunInstances show it. */
export function instanceTree (instance: Instance, region: Ec2Region, account: Account, state: InstanceStateName): Tree {
  const dead = instance.state === 'terminated'
  const groups = instance.securityGroupIds.map((groupId) => ({ groupId, groupName: 'default' }))
  return {
    instanceId: instance.id,
    imageId: instance.imageId,
    instanceState: stateTree(state),
    privateDnsName: dead ? '' : `ip-${instance.privateIp.replaceAll('.', '-')}.ec2.internal`,
    dnsName: '',
    reason: dead ? 'User initiated' : '',
    keyName: instance.keyName ?? undefined,
    amiLaunchIndex: 0,
    productCodes: [],
    instanceType: instance.instanceType,
    launchTime: new Date(instance.launchedAtMs),
    placement: { availabilityZone: instance.zone, groupName: '', tenancy: 'default' },
    monitoring: { state: instance.monitoring ? 'enabled' : 'disabled' },
    ...dead ? {} : networkTree(instance, region, account, groups),
    architecture: 'x86_64',
    rootDeviceType: 'ebs',
    rootDeviceName: '/dev/xvda',
    blockDeviceMapping: dead ? [] : [{
      deviceName: '/dev/xvda',
      ebs: { volumeId: instance.volumeId, status: 'attached', attachTime: new Date(instance.launchedAtMs), deleteOnTermination: true }
    }],
    virtualizationType: 'hvm',
    clientToken: instance.clientToken ?? '',
    tagSet: tagSet(region.tags.get(instance.id)),
    hypervisor: 'xen',
    iamInstanceProfile: instance.profileArn === null ? undefined : { arn: instance.profileArn, id: 'AIPAEMULATED' },
    ebsOptimized: instance.ebsOptimized,
    enaSupport: true,
    cpuOptions: { coreCount: 1, threadsPerCore: 2 },
    capacityReservationSpecification: { capacityReservationPreference: 'open' },
    hibernationOptions: { configured: false },
    metadataOptions: {
      state: 'applied', httpTokens: instance.metadataTokens, httpPutResponseHopLimit: instance.metadataHopLimit, httpEndpoint: 'enabled', httpProtocolIpv6: 'disabled', instanceMetadataTags: 'disabled'
    },
    enclaveOptions: { enabled: false },
    maintenanceOptions: { autoRecovery: 'default' },
    privateDnsNameOptions: { hostnameType: 'ip-name', enableResourceNameDnsARecord: false, enableResourceNameDnsAAAARecord: false },
    currentInstanceBootMode: 'legacy-bios'
  }
}

function networkTree (instance: Instance, region: Ec2Region, account: Account, groupSet: readonly Tree[]): Tree {
  return {
    subnetId: instance.subnetId,
    vpcId: region.vpcId,
    privateIpAddress: instance.privateIp,
    sourceDestCheck: instance.sourceDestCheck,
    groupSet,
    networkInterfaceSet: [{
      networkInterfaceId: instance.networkInterfaceId,
      subnetId: instance.subnetId,
      vpcId: region.vpcId,
      description: '',
      ownerId: account.id,
      status: 'in-use',
      privateIpAddress: instance.privateIp,
      sourceDestCheck: instance.sourceDestCheck,
      groupSet,
      attachment: {
        attachmentId: instance.networkInterfaceId.replace('eni-', 'eni-attach-'), deviceIndex: 0, networkCardIndex: 0, status: 'attached', attachTime: new Date(instance.launchedAtMs), deleteOnTermination: true
      },
      privateIpAddressesSet: [{ privateIpAddress: instance.privateIp, primary: true }],
      ipv6AddressesSet: [],
      interfaceType: 'interface'
    }]
  }
}
